/** Verbs that make things: a tenant, server certificates, enrolment tokens, and what the fleet end must know to seal for a printer. */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SPARKPLUG_HOST } from '../broker-names.ts'
import { type IssuedKey, issueClient, issueServer } from '../ca.ts'
import { registerPrinter } from '../printers.ts'
import { createTenant, openTenant } from '../tenant.ts'
import { Tokens } from '../tokens.ts'
import { say, usage, type Verb } from '../verb.ts'

const CLIENT_DAYS = 397

export const tenant: Verb = {
  summary: 'make a tenant',
  synopsis: ['tenant create NAME'],
  description:
    'Makes the authority, the signing keys and the trust bundle of a new tenant in the directory given with --tenant.',
  run: async (values, [word, name]) => {
    if (word !== 'create' || name === undefined) usage('expected: tenant create NAME')
    const made = await createTenant(values.tenant, name, Date.now())
    say(`tenant ${made.id} in ${values.tenant}`)
  },
}

export const server: Verb = {
  summary: 'make the certificate of a broker or another server',
  synopsis: ['server NAME... [--out PREFIX]'],
  description:
    'Writes PREFIX.pem and PREFIX.key.pem for these host names or IPv4 addresses, signed by the authority of the tenant.',
  run: async (values, names) => {
    if (names.length === 0) usage('expected a host name')
    const { authority } = await openTenant(values.tenant)
    await writeIssued(values.out ?? 'server', issueServer(authority, names, Date.now()))
  },
}

export const client: Verb = {
  summary: 'make the certificate of a program that listens at the broker',
  synopsis: ['client NAME [--out PREFIX]'],
  description: `Writes PREFIX.pem and PREFIX.key.pem under this name, signed by the authority of the tenant, for 397 days. What the name may do is for
the broker's rules to say; those shipped know ${SPARKPLUG_HOST} (fleet help sparkplug).`,
  run: async (values, [name]) => {
    if (name === undefined) usage('expected a name')
    const { authority } = await openTenant(values.tenant)
    await writeIssued(values.out ?? name, issueClient(authority, name, Date.now(), CLIENT_DAYS))
  },
}

async function writeIssued(prefix: string, { certPem, keyPem }: IssuedKey): Promise<void> {
  await writeFile(`${prefix}.pem`, certPem)
  await writeFile(`${prefix}.key.pem`, keyPem, { mode: 0o600 })
  say(`${prefix}.pem and ${prefix}.key.pem`)
}

export const token: Verb = {
  summary: 'make a token that enrols one printer',
  synopsis: ['token SERIAL [--region REGION]'],
  description: 'Prints a token for one printer, valid once and for a day. Only its hash is kept.',
  run: async (values, [serial]) => {
    if (serial === undefined) usage('expected a serial')
    const { id } = await openTenant(values.tenant)
    using tokens = new Tokens(join(values.tenant, 'tokens.sqlite'))
    say(tokens.issue({ serial, tenant: id, region: values.region }, Date.now()))
  },
}

export const printer: Verb = {
  summary: 'name the key a printer opens files with',
  synopsis: ['printer add SERIAL --key PRINTER.pub.pem --profile MPFD.json'],
  description:
    'Remembers the public key and the configuration (its limits) of a printer, so that files can be sealed for it here.',
  run: async (values, [word, serial]) => {
    if (word !== 'add' || serial === undefined) usage('expected: printer add SERIAL')
    if (values.key === undefined || values.profile === undefined)
      usage('expected --key and --profile')
    const [key, profile] = await Promise.all([
      readFile(values.key, 'utf8'),
      readFile(values.profile, 'utf8'),
    ])
    await registerPrinter(values.tenant, serial, { key, profile })
    say(`${serial}: files can be sealed for it`)
  },
}

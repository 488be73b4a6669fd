/** The small CA: what it issues verifies with OpenSSL's own program; what it is asked is checked. */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { createCsr } from '#mpf'
import {
  certifyPrinter,
  createAuthority,
  derOf,
  issueClient,
  issueServer,
  openAuthority,
  pemOf,
} from '../../fleet/ca.ts'
import { certsOnly } from '../../fleet/x509.ts'

const AT_MS = Date.now()
const authority = createAuthority('test root', AT_MS)
const printer = { serial: 'T-1', tenant: 'dGVuYW50' }
const p256 = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey

test('openssl verify accepts server, client and printer certificates for their purpose only', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'fleet-ca-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const ca = join(directory, 'ca.pem')
  await writeFile(ca, authority.certPem)
  const csr = createCsr({ commonName: 'T-1' }, p256())
  const certificates = {
    sslserver: issueServer(authority, ['localhost', '127.0.0.1'], AT_MS).certPem,
    sslclient: issueClient(authority, 'worker', AT_MS).certPem,
    printer: pemOf(certifyPrinter(authority, csr, printer, AT_MS)),
  }
  for (const [name, pem] of Object.entries(certificates)) {
    const file = join(directory, `${name}.pem`)
    await writeFile(file, pem)
    const purpose = name === 'sslserver' ? 'sslserver' : 'sslclient'
    const out = execFileSync('openssl', [
      'verify',
      '-x509_strict',
      '-purpose',
      purpose,
      '-CAfile',
      ca,
      file,
    ])
    t.match(out.toString(), /: OK/)
    const other = purpose === 'sslserver' ? 'sslclient' : 'sslserver'
    t.throws(() =>
      execFileSync('openssl', ['verify', '-purpose', other, '-CAfile', ca, file], {
        stdio: 'ignore',
      }),
    )
  }
  const text = execFileSync('openssl', ['x509', '-noout', '-text'], { input: certificates.printer })
  t.match(text.toString(), /URI:urn:mpf:tenant:dGVuYW50/)
  const pkcs7 = certsOnly([derOf(certificates.printer), derOf(authority.certPem)])
  const listed = execFileSync('openssl', ['pkcs7', '-inform', 'DER', '-print_certs', '-noout'], {
    input: pkcs7,
  })
  t.match(listed.toString(), /T-1[\s\S]*test root/)
})

test('a request for another name, or that its sender cannot sign, is refused', async t => {
  const other = createCsr({ commonName: 'T-2' }, p256())
  t.throws(() => certifyPrinter(authority, other, printer, AT_MS), { code: 'FLEET_REQUEST' })
  const good = createCsr({ commonName: 'T-1' }, p256())
  const forged = Buffer.from(good)
  forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1
  t.throws(() => certifyPrinter(authority, forged, printer, AT_MS), { code: 'FLEET_REQUEST' })
  t.throws(() => certifyPrinter(authority, Buffer.from('junk'), printer, AT_MS), {
    code: 'FLEET_REQUEST',
  })
})

test('no printer gets a certificate under a name of the fleet end', async t => {
  for (const serial of ['fleet', 'sparkplug-host']) {
    const request = createCsr({ commonName: serial }, p256())
    const asked = () => certifyPrinter(authority, request, { ...printer, serial }, AT_MS)
    t.throws(asked, { code: 'FLEET_REQUEST' })
  }
})

test('certificates of printers end after 90 days and differ in their numbers', async t => {
  const one = new X509Certificate(
    certifyPrinter(authority, createCsr({ commonName: 'T-1' }, p256()), printer, AT_MS),
  )
  const two = new X509Certificate(
    certifyPrinter(authority, createCsr({ commonName: 'T-1' }, p256()), printer, AT_MS),
  )
  t.equal(Math.round((one.validToDate.getTime() - AT_MS) / 86_400_000), 90)
  t.not(one.serialNumber, two.serialNumber)
})

test('an authority opens with its own key only', async t => {
  const keyPem = authority.key.export({ type: 'pkcs8', format: 'pem' }).toString()
  t.ok(openAuthority(authority.certPem, keyPem))
  const other = p256().export({ type: 'pkcs8', format: 'pem' }).toString()
  t.throws(() => openAuthority(authority.certPem, other), { code: 'FLEET_FILE' })
})

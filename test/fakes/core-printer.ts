/** A printer on a desk: keys, trust, a stick directory, a configuration, and sealed files made for it. */
import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, parseConfig } from '#config'
import {
  type ControllerConfig,
  type ControllerEvent,
  joinControllers,
  openController,
} from '#drivers'
import { systemClock } from '#lib/clock.ts'
import type { EventView } from '#lib/control-protocol.ts'
import { createLogger } from '#lib/logger.ts'
import {
  keyId,
  memoryStore,
  ProgramPacker,
  policyFor,
  type SigningKey,
  sealPrint,
  signGrant,
} from '#mpf'
import { openPrint } from '../../firmware/core/admission/checklist.ts'
import { preflightInThread } from '../../firmware/core/admission/preflight.ts'
import type { CorePorts } from '../../firmware/core/core.ts'
import type { OpenMachineController } from '../../firmware/core/engine/machine-options.ts'
import type { Journal } from '../../firmware/core/journal/journal.ts'

export const TENANT = Buffer.alloc(16, 7).toString('base64url')
const DAY_S = 86_400

export interface DeskPrinter extends AsyncDisposable {
  readonly directory: string
  readonly stick: string
  readonly config: Config
  readonly configFile: string
  readonly key: KeyObject
  readonly publisher: SigningKey
}

export interface SealOptions {
  readonly maxUses?: number
  readonly notBeforeS?: number
  readonly expiresS?: number
  readonly tenant?: string
  readonly recipient?: KeyObject
  readonly signer?: SigningKey
  /** Of the grant; left out: the signer. */
  readonly granter?: SigningKey
  readonly grantId?: Uint8Array
  readonly fileId?: Uint8Array
  readonly revision?: number
  /** Of the metadata, beside the title and the layers. */
  readonly info?: Readonly<Record<string, string>>
}

export function signingKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  return { privateKey, algorithm: 'ES384', kid: keyId(privateKey) }
}

/** A program of `moves` moves in layers of 100, inside the machine of `deskPrinter`. */
export function program(moves: number): string {
  const lines = ['; made for a test', 'G28', 'G90', 'M82', 'G92 E0', 'M104 S200', 'G1 Z0.2 F1200']
  for (let i = 0; i < moves; i++) {
    if (i % 100 === 0)
      lines.push(';LAYER_CHANGE', `G1 Z${(0.2 + (i / 100) * 0.2).toFixed(2)} F1200`)
    lines.push(`G1 X${10 + (i % 97)} Y${10 + (i % 89)} E${(i * 0.01).toFixed(2)} F3000`)
  }
  lines.push('M104 S0', '')
  return lines.join('\n')
}

export async function deskPrinter(usb: Record<string, unknown> = {}): Promise<DeskPrinter> {
  const directory = await mkdtemp(join(tmpdir(), 'core-'))
  const stick = join(directory, 'stick')
  await mkdir(stick)
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const keyFile = join(directory, 'printer-key.pem')
  await writeFile(keyFile, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const publisher = signingKey()
  const bundleFile = join(directory, 'trust.json')
  await writeFile(bundleFile, JSON.stringify(trustBundle(publisher)))
  const configFile = join(directory, 'config.json')
  const settings = {
    printer: {
      serial: 'T-1',
      tenant: TENANT,
      profile: {
        model: 'T',
        nozzleMm: 0.4,
        limitsMm: { min: [0, 0, 0], max: [250, 210, 210] },
        maxFeedMmPerMin: 12000,
        maxTempC: { hotend: [285], bed: 120, chamber: 0 },
      },
      scripts: { pause: ['G91', 'G1 Z5 F600', 'G90'], abnormalEnd: ['M104 S0', 'M84'] },
    },
    controllers: [{ name: 'motion', role: 'motion', dialect: 'marlin', port: 'simulated' }],
    stateDirectory: join(directory, 'state'),
    spool: { maxBytes: 64 << 20, maxFileBytes: 16 << 20, reserveBytes: 0 },
    usb: { mountDirectories: [stick], pollIntervalMs: 50, ...usb },
    control: { socket: join(directory, 'control.sock'), mode: '0600' },
    trust: { bundleFile },
    keys: { printerKeyFile: keyFile },
    log: { level: 'silent' },
  }
  await writeFile(configFile, JSON.stringify(settings))
  const config = parseConfig(settings)
  return {
    directory,
    stick,
    config,
    configFile,
    key,
    publisher,
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  }
}

function trustBundle(publisher: SigningKey): unknown {
  const kid = keyId(publisher.privateKey)
  const { createPublicKey } = process.getBuiltinModule('node:crypto')
  const jwk = createPublicKey(publisher.privateKey).export({ format: 'jwk' })
  const entry = { kid, alg: 'ES384', jwk, nbf: 0, exp: 4_000_000_000 }
  return {
    v: 1,
    tenant: TENANT,
    epoch: 1,
    keys: [
      { ...entry, purpose: 'publish' },
      { ...entry, purpose: 'grant' },
    ],
    revoked: { manifests: [], grants: [] },
  }
}

/** Seals `text` for the printer. */
export async function seal(
  printer: DeskPrinter,
  text: string,
  options: SealOptions = {},
): Promise<Buffer> {
  const nowS = Math.floor(Date.now() / 1000)
  const tenant = options.tenant ?? TENANT
  const signing = options.signer ?? printer.publisher
  const packer = new ProgramPacker({ level: 3 })
  const sealed = await sealPrint({
    fileId: options.fileId ?? randomBytes(16),
    tenant,
    issuer: 'test',
    app: 'test',
    madeAtS: nowS,
    seq: options.revision ?? 0,
    signingKey: signing,
    blocks: packer.blocks([Buffer.from(text)]),
    describe: () => ({
      metadata: {
        info: { title: 'bracket', layers: packer.layers, ...options.info },
        thumbnails: [],
        geometry: undefined,
      },
      policy: policyFor(packer.limits(), { models: [], nozzleUm: 0 }),
    }),
    store: memoryStore(),
  })
  const recipient = options.recipient ?? printer.key
  const { createPublicKey } = process.getBuiltinModule('node:crypto')
  const grant = await signGrant({
    target: { fileId: sealed.manifest.fid, manifestDigest: sealed.manifestDigest, tenant },
    recipient: { ka: 'JWE', key: createPublicKey(recipient) },
    keys: sealed.keys,
    issuer: 'test',
    signingKey: options.granter ?? signing,
    grantId: options.grantId ?? randomBytes(16),
    scope: 'print',
    notBeforeS: options.notBeforeS ?? nowS - 60,
    expiresS: options.expiresS ?? nowS + DAY_S,
    maxUses: options.maxUses ?? 0,
    epoch: 0,
  })
  const chunks: Uint8Array[] = []
  for await (const chunk of sealed.file(new Map([[keyId(recipient), grant]]))) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** Real checks, real clock; the controller is the caller's. */
export function desktopPorts(
  openController: OpenMachineController,
  more: Partial<CorePorts> = {},
): CorePorts {
  return {
    clock: systemClock,
    log: createLogger({ name: 'core', level: 'silent' }),
    version: '0.0.0',
    buildAtMs: 0,
    newId: randomUUID,
    openController,
    openPrint,
    preflight: preflightInThread,
    ...more,
  }
}

/** One motion controller at a port, as it is. */
export function openerAt(
  controller: Omit<ControllerConfig, 'baud'> & { readonly baud?: number },
): OpenMachineController {
  const config = { baud: 115_200, ...controller }
  return (onEvent, signal) => {
    const open = (onEvent: (event: ControllerEvent) => void) =>
      openController(config, { clock: systemClock, signal, onEvent })
    const route = { tools: [], commands: [], freeCommands: [] }
    return joinControllers([{ name: 'motion', role: 'motion', ...route, open }], onEvent)
  }
}

/** Resolves with the first event that fits, recorded already or to come. */
export function untilEvent(
  journal: Journal,
  fits: (event: EventView) => boolean,
): Promise<EventView> {
  const { promise, resolve } = Promise.withResolvers<EventView>()
  const past = journal.events(0, 1000).find(fits)
  if (past) return Promise.resolve(past)
  const listening = journal.onEvent(event => {
    if (!fits(event)) return
    listening[Symbol.dispose]()
    resolve(event)
  })
  return promise
}

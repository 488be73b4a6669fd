/** The head of the event log, signed: what lets the other end prove that nothing was changed, hidden or cut off. */

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setImmediate as yieldToOthers } from 'node:timers/promises'
import { writeFileAtomically } from '#lib/atomic-file.ts'
import { signCheckpoint } from '#lib/checkpoint.ts'
import type { CourierMethods } from '#lib/courier-protocol.ts'
import { canonicalEntry, entryOfView } from '#lib/event-chain.ts'
import { SEGMENT_ENTRIES, signSegment } from '#lib/log-segment.ts'
import { CompactTree, leafHash } from '#lib/merkle.ts'
import { keyId } from '#mpf'
import { CoreError, coreFault } from './errors.ts'
import type { Journal } from './journal/journal.ts'

/** Entries hashed before other work gets its turn. */
const SLICE = 64

export interface LogSigner {
  /** Ed25519; also signs the results of commands. */
  readonly key: KeyObject
  /** The name of the log: one printer's. */
  readonly name: string
  /** Signs the tree over every event recorded so far. Rejects with `signal.reason`. */
  checkpoint(signal: AbortSignal): Promise<CourierMethods['log.checkpoint']['result']>
  /** Signs the events `from` to at most `to`. @throws CoreError COMMAND_ARGS for events that are not there */
  segment(range: CourierMethods['log.segment']['params']): CourierMethods['log.segment']['result']
}

/**
 * The key at `path` (PKCS#8 PEM), made there on the first start.
 * @throws CoreError KEYS_UNREADABLE
 */
export async function loadLogKey(path: string): Promise<KeyObject> {
  try {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw error
    })
    if (text !== undefined) return createPrivateKey(text)
    const { privateKey } = generateKeyPairSync('ed25519')
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' })
    await writeFileAtomically(path, Buffer.from(pem), { mode: 0o600 })
    return privateKey
  } catch (error) {
    throw coreFault('KEYS_UNREADABLE', 'the log key cannot be read or made', error)
  }
}

/** The tree grows with each checkpoint by what was recorded since; nothing is hashed at start. */
export function createLogSigner(journal: Journal, key: KeyObject, serial: string): LogSigner {
  const name = `mpfd/log/${serial}`
  const tree = new CompactTree()
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'pem' })
  let turn: Promise<unknown> = Promise.resolve()
  const grow = async (signal: AbortSignal) => {
    for (;;) {
      signal.throwIfAborted()
      const events = journal.events(tree.size, SLICE)
      for (const event of events)
        tree.append(leafHash(Buffer.from(canonicalEntry(entryOfView(event)))))
      if (events.length < SLICE) break
      await yieldToOthers()
    }
    const checkpoint = { origin: name, size: tree.size, root: tree.root() }
    return { size: tree.size, note: signCheckpoint(checkpoint, { name, key }), name, publicKey }
  }
  return {
    key,
    name,
    segment({ from, to }) {
      const [previous] = from > 1 ? journal.events(from - 2, 1) : []
      const limit = Math.min(Math.max(to - from + 1, 0), SEGMENT_ENTRIES)
      const [first, ...more] = journal.events(from - 1, limit)
      if (!first) throw new CoreError('COMMAND_ARGS', `no events ${from} to ${to}`)
      const signer = { kid: keyId(key), algorithm: 'EdDSA', privateKey: key }
      const envelope = signSegment(name, previous, [first, ...more], signer)
      const last = more.at(-1) ?? first
      return { envelope: Buffer.from(envelope).toString('base64'), to: last.sequence }
    },
    checkpoint(signal) {
      // One at a time: two growths at once would append the same entries twice.
      const next = turn.then(() => grow(signal))
      turn = next.catch(() => undefined)
      return next
    },
  }
}

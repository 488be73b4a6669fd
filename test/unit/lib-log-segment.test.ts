/** A stretch of the log proves itself: right signature, right chain, nothing missing, nothing else. */
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'tap'
import { MAX_ENVELOPE_BYTES } from '#lib/dsse.ts'
import { openSegment } from '#lib/log-segment.ts'
import { Journal } from '../../firmware/core/journal/journal.ts'
import { createLogSigner } from '../../firmware/core/log-signer.ts'

const AT_MS = Date.UTC(2026, 10, 22)

test('segments of any range join into the log they were cut from', async t => {
  const stamp = () => ({ atMs: AT_MS, quality: 'rtc' as const })
  using journal = new Journal({ path: join(t.testdir(), 'journal'), stamp })
  for (let i = 0; i < 150; i += 1)
    journal.record({ type: 'job.done', message: 'x'.repeat(i), detail: { i, name: `n${i}` } })
  const { privateKey: key } = generateKeyPairSync('ed25519')
  const signer = createLogSigner(journal, key, 'T-1')
  const verifier = { algorithm: 'EdDSA', publicKey: createPublicKey(key) }
  const read = (from: number, to: number) => {
    const made = signer.segment({ from, to })
    const envelope = Buffer.from(made.envelope, 'base64')
    t.ok(envelope.length < MAX_ENVELOPE_BYTES)
    return { envelope, segment: openSegment(envelope, verifier), to: made.to }
  }
  const entries: string[] = []
  let before = '00'.repeat(32)
  for (let from = 1; from <= 150; ) {
    const { segment, to } = read(from, 150)
    t.equal(segment?.before, before)
    entries.push(...(segment?.entries ?? []))
    before = segment?.after ?? ''
    from = to + 1
  }
  t.equal(entries.length, 150)
  t.equal(before, journal.events(149, 1)[0]?.hash)
  t.notMatch(entries.join(), /n149/, 'names stay on the printer')
  t.match(read(7, 7).segment, { from: 7, to: 7, log: 'mpfd/log/T-1' })
  t.throws(() => signer.segment({ from: 151, to: 160 }), { code: 'COMMAND_ARGS' })
  t.throws(() => signer.segment({ from: 9, to: 8 }), { code: 'COMMAND_ARGS' })

  const { envelope } = read(1, 20)
  const other = { ...verifier, publicKey: generateKeyPairSync('ed25519').publicKey }
  t.equal(openSegment(envelope, other), undefined)
  // DSSE: the key's id is a hint, and not signed.
  const hint = envelope.indexOf('"keyid":"') + '"keyid":"'.length
  const hintEnd = envelope.indexOf('"', hint)
  let accepted = 0
  for (let at = 0; at < envelope.length; at += 7) {
    if (at >= hint && at < hintEnd) continue
    const changed = Buffer.from(envelope)
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at)
    if (openSegment(changed, verifier)) accepted += 1
  }
  t.equal(accepted, 0)
})

/**
 * A courier that kills itself, without warning, at one moment: with the core's answer in hand ('answered'), behind the write that
 * holds answer and intent ('intended'), before or behind a segment of the log ('segment', 'sent'), and at each step of a renewal
 * ('requested', 'installed', 'proven', 'promoted').
 */
import { IdentityStore } from '../../firmware/cloud/identity.ts'
import { main } from '../../firmware/cloud/main.ts'
import { Outbox } from '../../firmware/cloud/outbox.ts'

const [, , config = '', moment = '', nth = '1'] = process.argv

let passed = 0
function pass(here: string): void {
  if (here === moment && ++passed === Number(nth)) process.kill(process.pid, 'SIGKILL')
}

const { append, atomically } = Outbox.prototype
let within = ''
Outbox.prototype.append = function (stream, bodies) {
  within = stream
  if (stream === 'resp') pass('answered')
  if (stream === 'seg') pass('segment')
  return append.call(this, stream, bodies)
}
Outbox.prototype.atomically = function (body) {
  atomically.call(this, body)
  pass(within === 'resp' ? 'intended' : 'sent')
}

const { request, install, promote } = IdentityStore.prototype
IdentityStore.prototype.request = async function (slot, subject) {
  const csr = await request.call(this, slot, subject)
  pass('requested')
  return csr
}
IdentityStore.prototype.install = async function (slot, pem) {
  const identity = await install.call(this, slot, pem)
  pass('installed')
  return identity
}
IdentityStore.prototype.promote = async function (slot) {
  pass('proven')
  await promote.call(this, slot)
  pass('promoted')
}

process.exit(await main(['--config', config]))

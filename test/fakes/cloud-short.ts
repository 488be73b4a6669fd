/** A printer's certificate that ends within days, in the current slot. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import type { IdentityStore } from '../../firmware/cloud/identity.ts'
import { pemOf } from '../../fleet/ca.ts'
import type { Tenant } from '../../fleet/tenant.ts'
import { issueCertificate } from '../../fleet/x509.ts'

export async function certifyShort(
  store: IdentityStore,
  tenant: Tenant,
  serial: string,
  days: number,
): Promise<void> {
  const current = await store.current()
  if (!current) throw new Error('not enrolled')
  const der = issueCertificate(
    {
      ...{ commonName: serial, use: 'client' },
      publicKey: createPublicKey(createPrivateKey(current.key)),
      ...{ notBeforeMs: Date.now() - 60_000, notAfterMs: Date.now() + days * 86_400_000 },
    },
    { commonName: `${tenant.name} fleet authority`, key: tenant.authority.key },
  )
  await store.install(current.slot, pemOf(der))
}

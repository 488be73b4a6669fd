/** The CRC of RepRapFirmware's five-digit checksums: CRC-16/CCITT, polynomial 0x1021, most significant bit first, from zero. Pure. */

const POLYNOMIAL = 0x1021
const TOP_BIT = 0x8000
const MASK = 0xffff

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & TOP_BIT ? POLYNOMIAL : 0)) & MASK
  return crc
})

/** CRC of a latin1 text. */
export function crc16(text: string): number {
  let crc = 0
  for (let i = 0; i < text.length; i++)
    crc = ((crc << 8) ^ (TABLE[((crc >> 8) ^ text.charCodeAt(i)) & 0xff] ?? 0)) & MASK
  return crc
}

/** The face of `mpf/`: the sealed print file, pure. Bytes in, values out. */
export { type ByteSource, memorySource } from './byte-source.ts'
export { MPF_ERROR_CODES, MpfError, type MpfErrorClass, type MpfErrorCode } from './errors.ts'
export { type AxisLimitsMm, DEFAULT_WORDS, type MachineProfile } from './gcode/profile.ts'

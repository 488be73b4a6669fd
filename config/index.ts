/** The face of `config/`: one file, read once, frozen, passed down by slice. */
export { CONFIG_ERROR_CODES, ConfigError, type ConfigErrorCode } from './errors.ts'
export { loadConfig, parseConfig } from './load.ts'
export type { Config } from './schema.ts'

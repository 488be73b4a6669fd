/** The names in certificates that the brokers' rules know (config/broker/acl.conf). No printer has one of them. */

/** Workers, commands, the gateway: the fleet end itself. */
export const FLEET = 'fleet'
/** Who looks at the Sparkplug face. */
export const SPARKPLUG_HOST = 'sparkplug-host'

export function isBrokerName(serial: string): boolean {
  return serial === FLEET || serial === SPARKPLUG_HOST
}

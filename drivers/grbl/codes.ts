/** What grbl means by its numbers (grbl/doc/csv/error_codes_en_US.csv, alarm_codes_en_US.csv), as far as a program or a stop can meet them. */

const ERRORS: Readonly<Record<number, string>> = {
  1: 'a word does not begin with a letter',
  2: 'a word has no number',
  3: 'no such system command',
  4: 'a negative value',
  8: 'it does not stand idle',
  9: 'it is locked by an alarm',
  11: 'the line is too long',
  15: 'the target is outside its travel',
  20: 'it does not have this command',
  21: 'two commands of one modal group',
  22: 'no feed was set',
  23: 'a command number must be whole',
  24: 'two commands that need the same axis words',
  25: 'a word stands twice',
  26: 'an axis word is missing',
  27: 'the line number is not one',
  28: 'a value is missing',
  29: 'it does not have this coordinate system',
  30: 'G53 needs G0 or G1',
  31: 'axis words that nothing uses',
  32: 'an arc without an axis of its plane',
  33: 'the target cannot be reached by this motion',
  34: 'an arc of an impossible radius',
  35: 'an arc without an offset in its plane',
  36: 'words that nothing uses',
  38: 'it does not have this tool',
}

/** The alarm of a target that its soft limits forbid. */
export const SOFT_LIMIT = 'ALARM:2'

const ALARMS: Readonly<Record<number, string>> = {
  1: 'a limit switch',
  2: 'the target is outside its travel',
  3: 'reset while it moved',
  8: 'homing did not clear the limit switch',
  9: 'homing did not find the limit switch',
}

/** `error:20` as `error:20 (it does not have this command)`; what is not known stays as it is. */
export function explained(text: string): string {
  const [, kind, code] = /^(error|ALARM):(\d+)$/.exec(text) ?? []
  const meaning = (kind === 'ALARM' ? ALARMS : ERRORS)[Number(code)]
  return meaning === undefined ? text : `${text} (${meaning})`
}

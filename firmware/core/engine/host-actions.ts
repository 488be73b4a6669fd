/** What a controller asks of people (`//action:` lines): a pause with a reason, a prompt with choices, or nothing. Pure. */

import type { AttentionView } from '#lib/control-protocol.ts'

/** What follows from an action. Nothing a controller says ever starts, resumes or ends a print. */
export type ActionEffect =
  | { readonly kind: 'none' }
  | { readonly kind: 'pause'; readonly reason: string }
  | { readonly kind: 'ignored' }

export interface ActionOutcome {
  readonly attention: AttentionView | null
  readonly effect: ActionEffect
}

const MAX_TEXT = 80
const MAX_CHOICES = 8
/** Marlin host_actions.h and its forks: who asks for a pause, and why. `cancel` too: only a person ends a print. */
const PAUSES: Readonly<Record<string, string>> = {
  pause: 'the controller asks for a pause',
  paused: 'the controller has paused',
  out_of_filament: 'filament ran out',
  filament_runout: 'filament ran out',
  door_open: 'the door is open',
  cancel: 'the controller asks to end the print',
}
const NO_EFFECT: ActionEffect = { kind: 'none' }

/** Takes in one action, `word` with the text after it, as it came. */
export function takeAction(attention: AttentionView | null, action: string): ActionOutcome {
  const [, word = '', rest = ''] = /^(\w+)\s*(.*)$/s.exec(action) ?? []
  const text = shown(rest)
  const reason = Object.hasOwn(PAUSES, word) ? PAUSES[word] : undefined
  if (reason !== undefined)
    return {
      attention: { prompt: attention?.prompt ?? null, reason },
      effect: { kind: 'pause', reason },
    }
  switch (word) {
    case 'prompt_begin':
      return {
        attention: { reason: 'the controller asks', prompt: { text, choices: [], isShown: false } },
        effect: NO_EFFECT,
      }
    case 'prompt_choice':
    case 'prompt_button':
      return { attention: withChoice(attention, text), effect: NO_EFFECT }
    case 'prompt_show':
      return showPrompt(attention)
    case 'prompt_end':
      return { attention: null, effect: NO_EFFECT }
    default:
      return { attention, effect: { kind: 'ignored' } }
  }
}

function showPrompt(attention: AttentionView | null): ActionOutcome {
  if (!attention?.prompt) return { attention, effect: { kind: 'ignored' } }
  return {
    attention: { ...attention, prompt: { ...attention.prompt, isShown: true } },
    effect: { kind: 'pause', reason: attention.reason },
  }
}

function withChoice(attention: AttentionView | null, text: string): AttentionView | null {
  const prompt = attention?.prompt
  if (!prompt || prompt.choices.length >= MAX_CHOICES) return attention
  return { ...attention, prompt: { ...prompt, choices: [...prompt.choices, text] } }
}

/** Printable and short: it goes to a terminal. */
function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '').slice(0, MAX_TEXT)
}

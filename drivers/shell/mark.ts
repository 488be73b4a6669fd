/** The line that proves the count: its answer is unmistakable, so everything before it was executed. Pure. */
import { markText } from '../marlin/codec.ts'
import type { Acknowledgement, WindowRules } from '../window/send-window.ts'

export interface Mark {
  readonly text: string
  readonly by: Acknowledgement
}

/** The mark with number `n`; `undefined` where the wire proves itself. */
export function markOf({ mark }: WindowRules, n: number): Mark | undefined {
  switch (mark) {
    case 'echo':
      return { text: markText(n), by: 'mark' }
    case 'temperatures':
      return { text: 'M105', by: 'temperatures' }
    case 'position':
      return { text: 'M114', by: 'position' }
    case 'none':
      return undefined
  }
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplyWriter } from './replies.ts';

interface Rule {
  readonly when: RegExp;
  /** `$1` is what the first group matched. */
  readonly say: string;
}

const FEEL = "\\bi(?:['’]m| am| feel| was| felt)(?: so| very| really| a bit)*";

// A table of rules, as ELIZA had; what npm has of her was last touched in 2014. The answers are short
// and quote nothing from other messages: a search should find what was said, not what echoes it.
const RULES: readonly Rule[] = [
  { when: /^\W*(hi|hello|hey|good (?:morning|evening|day))\b/i, say: 'Welcome back.' },
  { when: /\bthank(?:s| you)\b/i, say: 'You are welcome.' },
  { when: /\b(?:bye|good ?night|see you)\b/i, say: 'Until soon.' },
  {
    when: new RegExp(`${FEEL} (sad|tired|lonely|afraid|angry|anxious|unhappy)\\b`, 'i'),
    say: 'I am sorry that you are $1. What weighs on you most?',
  },
  {
    when: new RegExp(`${FEEL} (happy|glad|excited|proud|grateful|calm)\\b`, 'i'),
    say: 'It is a joy that you are $1. What brought it about?',
  },
  {
    when: /\bi (?:want|would like|need) (?:to )?([^.!?\n]{3,60})/iu,
    say: 'What would change if you could $1?',
  },
  { when: /\b(?:wonderful|beautiful|great|lovely)\b/i, say: 'That sounds lovely.' },
  { when: /\?\s*$/, say: 'A language model could answer that.' },
];

const OTHERWISE = 'I am listening.';

const WHO = 'I am only the offline companion: no model is connected (GEMINI_API_KEY is not set).';

/** Replies where there is no model: a few rules, and it says so. The same message gets the same reply. */
export function createOfflineWriter({ wordDelayMs = 15 } = {}): ReplyWriter {
  return {
    name: 'the offline companion (no GEMINI_API_KEY)',
    async *write({ message }, signal) {
      signal.throwIfAborted();
      const [first = '', ...rest] = `${answerTo(message)} ${WHO}`.split(/(?<=\s)/u);
      yield first;
      for (const word of rest) {
        await sleep(wordDelayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        yield word;
      }
      return 'stop';
    },
  };
}

function answerTo(message: string): string {
  for (const { when, say } of RULES) {
    const match = when.exec(message.slice(0, 1_000).toWellFormed());
    if (match) return say.replace('$1', () => (match[1] ?? '').trim());
  }
  return OTHERWISE;
}

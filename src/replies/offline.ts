import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplyRequest, ReplyWriter } from './replies.ts';

interface Rule {
  readonly when: RegExp;
  /** `$1` is what the first group matched. */
  readonly say: string;
}

// A table of rules, as ELIZA had one. What npm has of her was last touched in 2014.
const RULES: readonly Rule[] = [
  {
    when: /^\W*(hi|hello|hey|good (?:morning|evening|day))\b/i,
    say: 'Hello! I am glad you are here.',
  },
  { when: /\bthank(?:s| you)\b/i, say: 'You are welcome.' },
  {
    when: /\b(?:bye|good ?night|see you)\b/i,
    say: 'Until next time; everything stays where it is.',
  },
  {
    when: /\bi(?:'m| am| feel)(?: so| very| really)? (sad|tired|lonely|afraid|angry|anxious|unhappy)\b/i,
    say: 'I am sorry that you are $1. What weighs on you most?',
  },
  {
    when: /\bi(?:'m| am| feel)(?: so| very| really)? (happy|glad|excited|proud|grateful|calm)\b/i,
    say: 'It is good to read that you are $1. What brought it about?',
  },
  { when: /\bwonderful|beautiful|great|lovely\b/i, say: 'That sounds lovely.' },
  {
    when: /\bi (?:want|would like|need) (?:to )?([^.!?\n]{3,60})/i,
    say: 'What would change if you could $1?',
  },
  { when: /\?\s*$/, say: 'That is a good question, and one for a model to answer.' },
];

const OTHERWISE = 'I have written that down for you.';

const WHO =
  'I am the offline companion: no language model is connected here yet (set GEMINI_API_KEY for one), but every word you write is kept and can be found again.';

/** Replies where there is no model: a few rules, and it says so. The same request gets the same reply. */
export function createOfflineWriter({ wordDelayMs = 15 } = {}): ReplyWriter {
  return {
    name: 'the offline companion (no GEMINI_API_KEY)',
    async *write(request, signal) {
      const [first = '', ...rest] = replyTo(request).split(/(?<=\s)/);
      yield first;
      for (const word of rest) {
        await sleep(wordDelayMs, undefined, { signal }).catch(() => signal.throwIfAborted());
        yield word;
      }
      return 'stop';
    },
  };
}

function replyTo({ message, turns }: ReplyRequest): string {
  const answer = answerTo(message);
  const last = turns.at(-1)?.message;
  const memory = last ? ` Earlier you wrote “${shortened(last)}”.` : '';
  return `${answer}${memory} ${WHO}`;
}

function answerTo(message: string): string {
  for (const { when, say } of RULES) {
    const match = when.exec(message.slice(0, 1_000));
    if (match) return say.replace('$1', () => (match[1] ?? '').trim());
  }
  return OTHERWISE;
}

/** Cut between characters as people see them, never inside of one. */
function shortened(text: string): string {
  const characters = [...new Intl.Segmenter().segment(text.slice(0, 200).toWellFormed())];
  const short = characters.slice(0, 40).map(({ segment }) => segment);
  return short.join('').replace(/\s+/g, ' ').trim() + (characters.length > 40 ? '…' : '');
}

import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import postgres from 'postgres';

/** An exchange as life.md has it. */
interface Told {
  readonly at: Date;
  readonly score: number;
  readonly message: string;
  readonly reply: string;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const DAYS = 1_096;
/** These last days are as life.md tells them, and nothing between. */
const UNFILLED = 8;

/**
 * Gives a user the life that life.md tells, its last day yesterday, with everyday notes between: the same
 * at each run but for the dates. Answers the id of each exchange of life.md by its message's first words.
 */
export async function liveThrough(
  ownerUrl: string,
  userId: string,
): Promise<(words: string) => string> {
  const life = await readLife();
  const all = [...life, ...(await notesBetween())].sort((a, b) => +a.at - +b.at);
  const ids = new Map(life.map(({ message }) => [message, randomUUID()]));
  const sql = postgres(ownerUrl, { max: 1, onnotice: () => {} });
  await sql.begin(async (tx) => {
    for (const { at, score, message, reply } of all) {
      await tx`
        insert into chat_history (user_id, id, message, response, created_at, mood, mood_score)
        values (${userId}, ${ids.get(message) ?? randomUUID()}, ${message}, ${reply}, ${at},
          ${moodOf(score)}::text::chat_mood, ${score})`;
    }
  });
  await sql.end();
  return (words) => {
    const found = [...ids].find(([message]) => message.startsWith(words));
    if (!found) throw new Error(`Nothing in life.md begins with “${words}”.`);
    return found[1];
  };
}

const moodOf = (score: number) =>
  score >= 0.05 ? 'POSITIVE' : score <= -0.05 ? 'NEGATIVE' : 'NEUTRAL';

/** At midnight (UTC) so many days ago. */
const daysAgo = (days: number): number => Math.floor(Date.now() / DAY_MS) * DAY_MS - days * DAY_MS;

async function readLife(): Promise<Told[]> {
  return (await readSections('life.md')).map(({ head, message, reply }) => {
    const [days, time, score] = head.split(' ');
    const [hours = 0, minutes = 0] = (time ?? '').split(':').map(Number);
    const at = new Date(daysAgo(Number(days)) + (hours * 60 + minutes) * 60_000);
    return { at, score: Number(score), message, reply };
  });
}

/** More of them in winter than in summer, and more from year to year. */
async function notesBetween(): Promise<Told[]> {
  const sections = await readSections('notes.md');
  const random = createRandom(7);
  const notes: Told[] = [];
  for (let day = DAYS - 1; day > UNFILLED; day -= 1) {
    const season = 1 + Math.cos((2 * Math.PI * (day - 320)) / 365);
    const most = (0.4 + season) * (1.4 - day / DAYS) * 1.6 + (random() < 0.03 ? 6 : 0);
    const count = Math.floor(random() * most + 0.4);
    for (let n = 0; n < count; n += 1) {
      const { head, message, reply } = sections[Math.floor(random() * sections.length)] as Section;
      const number = String(2 + Math.floor(random() * 40));
      notes.push({
        at: new Date(daysAgo(day) + (5 + random() * 17) * 60 * 60 * 1_000),
        score: Number(head),
        message: message.replace('{n}', number),
        reply: reply.replace('{n}', number),
      });
    }
  }
  return notes;
}

interface Section {
  readonly head: string;
  readonly message: string;
  readonly reply: string;
}

async function readSections(file: string): Promise<Section[]> {
  const text = await readFile(new URL(file, import.meta.url), 'utf8');
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => {
      const [head = '', ...lines] = section.split('\n');
      const [message = '', reply = ''] = lines.join('\n').split('\n→\n');
      return { head, message: message.trim(), reply: reply.trim() };
    });
}

/** Mulberry32: the same numbers from 0 to 1 at each run. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

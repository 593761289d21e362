import type { Env } from '../env.ts';
import { type Examination, type Finding, fault, look, ok } from './finding.ts';
import { inMs } from './measure.ts';
import { isLocal, placeOf } from './place.ts';
import { reasonOf } from './reason.ts';

type Gemini = NonNullable<Env['gemini']>;

const PATIENCE_MS = 3_000;
const GOOGLE = 'https://generativelanguage.googleapis.com';

export const modelExamination: Examination = {
  name: 'Model',
  async run({ gemini }, note, signal) {
    if (!gemini) {
      note(
        ok('replies by', 'the offline companion, which says that it is one (no GEMINI_API_KEY)'),
      );
      return;
    }
    const base = (gemini.baseUrl ?? GOOGLE).replace(/\/+$/, '');
    note(ok('replies by', `${gemini.model} at ${placeOf(base)}`));
    const from = performance.now();
    const answer = await ask(gemini, base, signal).catch((error: unknown) => {
      const advice = 'Replies will fail: let this machine reach it, or set GEMINI_BASE_URL right.';
      note(fault('reachable', reasonOf(error), advice));
    });
    if (!answer) return;
    note(ok('reachable', `in ${inMs(performance.now() - from)}`), ...judge(answer, gemini));
    if (isLocal(base) || base.startsWith('https:')) return;
    const advice =
      'Anybody on the way reads the key and the messages: use https:// in GEMINI_BASE_URL.';
    note(look('encryption', 'none on the way to another host', advice));
  },
};

interface Answer {
  readonly status: number;
  readonly body: {
    readonly name?: string;
    readonly supportedGenerationMethods?: readonly string[];
    readonly error?: { readonly status?: string; readonly message?: string };
  };
}

/** What is known of the model: https://ai.google.dev/api/models#method:-models.get, which costs nothing. */
async function ask({ apiKey, model }: Gemini, base: string, signal: AbortSignal): Promise<Answer> {
  const path = model.includes('/') ? model : `models/${model}`;
  const response = await fetch(`${base}/v1beta/${path}`, {
    headers: { 'x-goog-api-key': apiKey },
    signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]),
  });
  const body = await response.json().catch(() => ({}));
  return { status: response.status, body: Object(body) as Answer['body'] };
}

function judge({ status, body }: Answer, { model }: Gemini): Finding[] {
  const { error } = body;
  if (
    status === 401 ||
    status === 403 ||
    (status === 400 && /API key/i.test(error?.message ?? ''))
  ) {
    const advice = 'Replies will fail: set GEMINI_API_KEY to a key that may use this model.';
    return [fault('key', `refused (${status})`, advice)];
  }
  if (status === 404 && error?.status === 'NOT_FOUND') {
    const advice = 'Replies will fail: set GEMINI_MODEL to a model that this key may use.';
    return [ok('key', 'taken'), fault('model', `${model} is not known there`, advice)];
  }
  if (status === 429) {
    const advice = 'The key is over its limit now: replies fail until that has passed.';
    return [look('key', 'over its limit (429)', advice)];
  }
  if (status !== 200 || error || !body.name) {
    const advice = 'Whether the key and the model are right shows only with the first reply.';
    return [look('model', `could not be asked about (${status})`, advice)];
  }
  const methods = body.supportedGenerationMethods;
  if (methods && !methods.includes('generateContent')) {
    const advice = 'Replies will fail: set GEMINI_MODEL to a model that writes text.';
    return [ok('key', 'taken'), fault('model', `${model} does not write text`, advice)];
  }
  return [ok('key', 'taken'), ok('model', `${model} is there`)];
}

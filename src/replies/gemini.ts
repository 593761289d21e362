import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Content,
  type EnhancedGenerateContentResponse,
  GoogleGenerativeAI,
  GoogleGenerativeAIFetchError,
} from '@google/generative-ai';
import type { Logger } from '../log.ts';
import { contentsOf, SYSTEM_INSTRUCTION } from './prompt.ts';
import { type ReplyEnd, ReplyFailed, type ReplyWriter } from './replies.ts';

/** All in ms. */
export interface GeminiTiming {
  /** From a request to its first word; default 20 s. */
  readonly firstTokenMs: number;
  /** From asking for the next piece to having it; default 15 s. */
  readonly betweenTokensMs: number;
  /** For the first word over all tries and the pauses between them; default 45 s. */
  readonly totalMs: number;
  /** The first pause before another try, doubled each time; default 500 ms. */
  readonly backoffMs: number;
}

interface Options {
  readonly apiKey: string;
  readonly model: string;
  readonly baseUrl?: string | undefined;
  readonly log: Logger;
  readonly timing?: Partial<GeminiTiming>;
}

const TIMING: GeminiTiming = {
  firstTokenMs: 20_000,
  betweenTokensMs: 15_000,
  totalMs: 45_000,
  backoffMs: 500,
};

const TRIES = 3;

const UNREACHABLE = 'The model did not answer. Try again in a moment.';
const BUSY = 'The model is busy right now. Try again in a moment.';
const BROKE_OFF = 'The reply broke off before its end. Try again.';
const BLOCKED = "This was blocked by the model's safety rules. Put it in other words.";
const ENDED_EARLY = 'The model ended its reply early and did not say why. Try again.';
const EMPTY = 'The model gave an empty answer. Try again.';
const MISCONFIGURED =
  'The model could not be asked (its key or name is wrong). Whoever runs this server has to set it right.';

const BLOCKING = /^(SAFETY|RECITATION|BLOCKLIST|PROHIBITED_CONTENT|SPII|LANGUAGE|IMAGE_SAFETY)$/;

interface Cause {
  /** For the log: a word of ours, never the server's. */
  readonly reason: string;
  readonly status?: number | undefined;
  /** The fault may pass: if no word has come, it may be tried again, after `waitMs` at the earliest. */
  readonly passing?: boolean;
  readonly waitMs?: number | undefined;
}

class TryFailed extends ReplyFailed {
  readonly why: Cause;

  constructor(message: string, why: Cause) {
    super(message);
    this.why = why;
  }
}

/** Replies by Gemini, or whatever speaks its protocol at `baseUrl`. */
export function createGeminiWriter({ apiKey, model, baseUrl, log, ...rest }: Options): ReplyWriter {
  const timing = { ...TIMING, ...rest.timing };
  const generative = new GoogleGenerativeAI(apiKey).getGenerativeModel(
    { model, systemInstruction: SYSTEM_INSTRUCTION },
    baseUrl ? { baseUrl: baseUrl.replace(/\/+$/, '') } : {},
  );

  async function* attempt(
    contents: Content[],
    outer: AbortSignal,
    { firstMs, number }: { firstMs: number; number: number },
  ): AsyncGenerator<string, ReplyEnd, void> {
    // Aborting this one really closes the HTTP request, whoever does it.
    const inner = new AbortController();
    const giveUp = () => inner.abort(outer.reason);
    outer.addEventListener('abort', giveUp, { once: true });
    const watch = watchdog(inner);
    let said = false;
    let end: ReplyEnd | undefined;
    try {
      watch.start(firstMs, new TryFailed(UNREACHABLE, { reason: 'no first word', passing: true }));
      const result = await generative.generateContentStream({ contents }, { signal: inner.signal });
      // The SDK reads the stream twice; nobody else would catch this one's end.
      result.response.catch(() => {});
      for await (const chunk of result.stream) {
        // What came before the abort is still handed out by the SDK.
        outer.throwIfAborted();
        end = endOf(chunk) ?? end;
        const text = textOf(chunk);
        if (text === '') continue;
        said = true;
        // A slow reader is not a stalled model.
        watch.stop();
        yield text;
        watch.start(timing.betweenTokensMs, new TryFailed(BROKE_OFF, { reason: 'stalled' }));
      }
      outer.throwIfAborted();
      if (!end) throw new TryFailed(BROKE_OFF, { reason: 'no finish reason', passing: true });
      if (!said) throw new TryFailed(EMPTY, { reason: 'empty' });
      return end;
    } catch (error) {
      outer.throwIfAborted();
      const failure = explain(inner.signal.aborted ? inner.signal.reason : error, said);
      const { reason, status } = failure.why;
      // Never the SDK's message: it holds the URL, the server's words, or a piece of the reply.
      log.warn({ attempt: number, status, reason, said }, 'Gemini failed');
      throw failure;
    } finally {
      watch.stop();
      outer.removeEventListener('abort', giveUp);
      inner.abort();
    }
  }

  return {
    name: `Gemini (${model})`,
    async *write(request, signal) {
      const contents = contentsOf(request);
      const deadline = performance.now() + timing.totalMs;
      for (let number = 1; ; number += 1) {
        signal.throwIfAborted();
        const left = deadline - performance.now();
        const firstMs = Math.max(1, Math.min(timing.firstTokenMs, left));
        try {
          return yield* attempt(contents, signal, { firstMs, number });
        } catch (error) {
          if (!(error instanceof TryFailed && error.why.passing) || number === TRIES) throw error;
          const backoff = timing.backoffMs * 2 ** (number - 1) * (0.5 + Math.random() / 2);
          const wait = Math.max(backoff, error.why.waitMs ?? 0);
          if (performance.now() + wait >= deadline) throw error;
          await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
        }
      }
    },
  };
}

/** Aborts with `failure` when it is not stopped, or started anew, in time. */
function watchdog(controller: AbortController) {
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => clearTimeout(timer);
  return {
    start(ms: number, failure: TryFailed): void {
      stop();
      timer = setTimeout(() => controller.abort(failure), ms);
    },
    stop,
  };
}

/** How the model ended, if this chunk says so; it can say so early, or on every chunk. */
function endOf(chunk: EnhancedGenerateContentResponse): ReplyEnd | undefined {
  // An error after the HTTP status was sent comes as a chunk.
  if ('error' in chunk) throw failureOf(Number(Object(chunk.error).code) || 500);
  if (chunk.promptFeedback?.blockReason) throw new TryFailed(BLOCKED, { reason: 'prompt blocked' });
  const reason: string | undefined = chunk.candidates?.[0]?.finishReason;
  if (!reason || reason === 'FINISH_REASON_UNSPECIFIED') return undefined;
  if (reason === 'STOP') return 'stop';
  if (reason === 'MAX_TOKENS') return 'length';
  if (BLOCKING.test(reason)) throw new TryFailed(BLOCKED, { reason: `blocked: ${reason}` });
  throw new TryFailed(ENDED_EARLY, { reason: 'another finish reason' });
}

function textOf({ candidates }: EnhancedGenerateContentResponse): string {
  const parts = candidates?.[0]?.content?.parts ?? [];
  return parts
    .filter((part) => !('thought' in part && part.thought))
    .map((part) => part.text ?? '')
    .join('');
}

/** What the person is told and the log says. Nothing is tried again once a word has come. */
function explain(error: unknown, said: boolean): TryFailed {
  const failure = error instanceof TryFailed ? error : failureOf(statusOf(error), error);
  if (!said || !failure.why.passing) return failure;
  return new TryFailed(BROKE_OFF, { ...failure.why, passing: false });
}

function failureOf(status: number | undefined, error?: unknown): TryFailed {
  if (status === undefined) {
    return new TryFailed(UNREACHABLE, { reason: 'connection', passing: true });
  }
  const passing = status === 429 || status === 408 || status >= 500;
  const message = status === 429 || status === 503 ? BUSY : UNREACHABLE;
  return new TryFailed(passing ? message : MISCONFIGURED, {
    reason: 'HTTP status',
    status,
    passing,
    waitMs: retryDelayOf(error),
  });
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof GoogleGenerativeAIFetchError ? error.status : undefined;

/** https://cloud.google.com/apis/design/errors#error_payloads: RetryInfo says when to come back. */
function retryDelayOf(error: unknown): number | undefined {
  const details = error instanceof GoogleGenerativeAIFetchError ? error.errorDetails : undefined;
  if (!Array.isArray(details)) return undefined;
  const info = details.find((detail) => String(detail?.['@type']).endsWith('google.rpc.RetryInfo'));
  const seconds = /^(\d{1,6}(?:\.\d+)?)s$/.exec(String(info?.['retryDelay']))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

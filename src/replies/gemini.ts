import { setTimeout as sleep } from 'node:timers/promises';
import {
  type EnhancedGenerateContentResponse,
  FinishReason,
  GoogleGenerativeAI,
  GoogleGenerativeAIFetchError,
} from '@google/generative-ai';
import type { Logger } from '../log.ts';
import { contentsOf, SYSTEM_INSTRUCTION } from './prompt.ts';
import { type ReplyEnd, ReplyFailed, type ReplyRequest, type ReplyWriter } from './replies.ts';

/** All in ms. */
export interface GeminiTiming {
  /** From a request to its first word; default 20 s. */
  readonly firstTokenMs: number;
  /** Between two pieces; default 15 s. */
  readonly betweenTokensMs: number;
  /** For the first word over all tries; default 45 s. */
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
const REFUSED = 'The model declined to answer this.';
const EMPTY = 'The model had nothing to say. Try again.';
const MISCONFIGURED = 'The model cannot be asked: its key or its name is not accepted.';

/** A try that may be made again: no word has come, and the fault may pass. */
class Passing extends ReplyFailed {
  readonly waitMs: number | undefined;

  constructor(message: string, waitMs?: number) {
    super(message);
    this.waitMs = waitMs;
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
    request: ReplyRequest,
    outer: AbortSignal,
  ): AsyncGenerator<string, ReplyEnd, void> {
    // Aborting this one really closes the HTTP request, whoever does it.
    const inner = new AbortController();
    const watch = watchdog(inner, timing.firstTokenMs);
    const giveUp = () => inner.abort(outer.reason);
    outer.addEventListener('abort', giveUp, { once: true });
    let said = false;
    let end: ReplyEnd | undefined;
    try {
      const result = await generative.generateContentStream(
        { contents: contentsOf(request) },
        { signal: inner.signal },
      );
      // The SDK reads the stream twice; nobody else would catch this one's end.
      result.response.catch(() => {});
      for await (const chunk of result.stream) {
        watch.restart(timing.betweenTokensMs);
        end = endOf(chunk) ?? end;
        const text = textOf(chunk);
        if (text === '') continue;
        said = true;
        yield text;
      }
      if (!end) throw said ? new ReplyFailed(BROKE_OFF) : new Passing(BROKE_OFF);
      if (!said) throw new ReplyFailed(EMPTY);
      return end;
    } catch (error) {
      outer.throwIfAborted();
      const failure = explain(error, said);
      // Never the SDK's message: it holds the URL, the server's words, or a piece of the reply.
      log.warn({ status: statusOf(error), cause: failure.message, said }, 'Gemini failed');
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
      const deadline = Date.now() + timing.totalMs;
      for (let tries = 1; ; tries += 1) {
        signal.throwIfAborted();
        try {
          return yield* attempt(request, signal);
        } catch (error) {
          if (!(error instanceof Passing) || tries === TRIES) throw error;
          const backoff = timing.backoffMs * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
          const wait = Math.max(backoff, error.waitMs ?? 0);
          if (Date.now() + wait > deadline) throw error;
          await sleep(wait, undefined, { signal }).catch(() => signal.throwIfAborted());
        }
      }
    },
  };
}

/** Aborts when it is not restarted in time. */
function watchdog(controller: AbortController, firstMs: number) {
  const stalled = () => controller.abort(new Passing(UNREACHABLE));
  let timer = setTimeout(stalled, firstMs);
  return {
    restart(ms: number): void {
      clearTimeout(timer);
      timer = setTimeout(stalled, ms);
    },
    stop: (): void => clearTimeout(timer),
  };
}

/** How the model ended, if this chunk says so; it can say so early, or on every chunk. */
function endOf({
  promptFeedback,
  candidates,
}: EnhancedGenerateContentResponse): ReplyEnd | undefined {
  if (promptFeedback?.blockReason) throw new ReplyFailed(REFUSED);
  const reason = candidates?.[0]?.finishReason;
  if (!reason || reason === FinishReason.FINISH_REASON_UNSPECIFIED) return undefined;
  if (reason === FinishReason.STOP) return 'stop';
  if (reason === FinishReason.MAX_TOKENS) return 'length';
  throw new ReplyFailed(REFUSED);
}

function textOf({ candidates }: EnhancedGenerateContentResponse): string {
  const parts = candidates?.[0]?.content?.parts ?? [];
  return parts
    .filter((part) => !('thought' in part && part.thought))
    .map((part) => part.text ?? '')
    .join('');
}

function explain(error: unknown, said: boolean): ReplyFailed {
  if (error instanceof ReplyFailed && !(error instanceof Passing && said)) return error;
  if (said) return new ReplyFailed(BROKE_OFF);
  const status = statusOf(error);
  if (status === 429) return new Passing(BUSY, retryDelayOf(error));
  if (status !== undefined && status < 500) return new ReplyFailed(MISCONFIGURED);
  return new Passing(UNREACHABLE);
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof GoogleGenerativeAIFetchError ? error.status : undefined;

/** https://cloud.google.com/apis/design/errors#error_payloads: RetryInfo says when to come back. */
function retryDelayOf(error: unknown): number | undefined {
  const details = error instanceof GoogleGenerativeAIFetchError ? error.errorDetails : undefined;
  const info = details?.find((detail) => detail['@type']?.endsWith('google.rpc.RetryInfo'));
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(String(info?.['retryDelay']))?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

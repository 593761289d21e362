import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { RedisLink } from './redis.ts';

export type Taken = { readonly ok: true } | { readonly ok: false; readonly retryAfterMs: number };

export interface SendLimiter {
  /** Counts one new message of a user, if there is room for it. */
  take(userId: string): Promise<Taken>;
  /** Takes one back that was no new message after all. */
  giveBack(userId: string): Promise<void>;
}

interface Options {
  readonly perMinute: number;
  /** Counts over all processes; without, and while Redis is away, each process counts for itself. */
  readonly link?: RedisLink;
}

const MINUTE_S = 60;

/** The limit of new messages a user and minute. */
export function createSendLimiter({ perMinute, link }: Options): SendLimiter {
  const here = new RateLimiterMemory({ points: perMinute, duration: MINUTE_S });
  let everywhere: RateLimiterRedis | undefined;

  /** Whatever else than a refusal Redis says: no reason to refuse a message. */
  async function countEverywhere(how: 'consume' | 'reward', key: string): Promise<void> {
    if (!link?.up) return;
    try {
      await link.run((client) => {
        everywhere ??= new RateLimiterRedis({
          storeClient: client,
          points: perMinute,
          duration: MINUTE_S,
          keyPrefix: 'chat:rate',
        });
        return everywhere[how](key);
      });
    } catch (error) {
      if (error instanceof RateLimiterRes) throw error;
    }
  }

  /** Here too while Redis counts: it may be away for the rest of the minute, or have been. */
  async function consume(key: string): Promise<void> {
    try {
      await here.consume(key);
      await countEverywhere('consume', key);
    } catch (refusal) {
      await here.reward(key);
      throw refusal;
    }
  }

  return {
    async take(userId) {
      try {
        await consume(`{${userId}}`);
        return { ok: true };
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        return { ok: false, retryAfterMs: Math.max(1, error.msBeforeNext) };
      }
    },
    async giveBack(userId) {
      const key = `{${userId}}`;
      await here.reward(key);
      await countEverywhere('reward', key);
    },
  };
}

import { z } from 'zod';

const url = (...protocols: string[]) =>
  z.string().refine(
    (text) => {
      try {
        return protocols.includes(new URL(text).protocol);
      } catch {
        return false;
      }
    },
    `has to be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`,
  );

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `has to be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `has to be a whole number from ${min} to ${max}`);

const redisUrls = z
  .string()
  .transform((text) => text.split(',').map((part) => part.trim()))
  .pipe(z.array(url('redis:', 'rediss:')))
  .transform((urls) => urls.join(','));

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;

const variables = z.object({
  NODE_ENV: z.string().optional(),
  PORT: wholeNumber(0, 65_535).default(4000),
  HOST: z.string().default('127.0.0.1'),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  MIGRATION_DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATA_DIR: z.string().default('.data'),
  REDIS_URL: redisUrls.optional(),
  GEMINI_API_KEY: z.string().optional(),
  GEMINI_MODEL: z
    .string()
    .regex(/^[\w./-]+$/, 'has to be the name of a model')
    .default('gemini-2.5-flash'),
  GEMINI_BASE_URL: url('http:', 'https:').optional(),
  SUPABASE_URL: url('http:', 'https:').optional(),
  SUPABASE_JWT_SECRET: z
    .string()
    .min(32, 'has to have at least 32 characters (RFC 7518, 3.2)')
    .optional(),
  SUPABASE_ANON_KEY: z
    .string()
    .regex(/^[\w.-]+$/, 'has to be the publishable key of the project')
    .optional(),
  WEB_CONCURRENCY: wholeNumber(1, 256).default(1),
  RATE_LIMIT_PER_MINUTE: wholeNumber(1, 1_000_000_000).default(3000),
  TRUST_PROXY: z.enum(['true', 'false'], 'has to be true or false').default('false'),
  GRAPHIQL: z.enum(['true', 'false'], 'has to be true or false').optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `has to be one of ${LOG_LEVELS.join(', ')}`).default('info'),
});

/** What the environment says, checked and with defaults filled in. */
export interface Env {
  /** 0 lets the system choose a port. */
  readonly port: number;
  readonly host: string;
  /** Without: the embedded PostgreSQL in `dataDir`. */
  readonly database: { readonly url: string; readonly ownerUrl: string } | undefined;
  readonly dataDir: string;
  /** One URL, or several between commas: a Redis Cluster. */
  readonly redisUrl: string | undefined;
  readonly gemini:
    | { readonly apiKey: string; readonly model: string; readonly baseUrl: string | undefined }
    | undefined;
  /** Whose tokens are accepted; with neither, the server keeps its own accounts. */
  readonly supabase: {
    readonly url: string | undefined;
    readonly jwtSecret: string | undefined;
    /** The project's publishable key, for the web client's sign-in. */
    readonly anonKey: string | undefined;
  };
  /** How many processes share the port. */
  readonly processes: number;
  readonly rateLimitPerMinute: number;
  /** Whether a proxy in front says in X-Forwarded-For who the client is. */
  readonly trustProxy: boolean;
  readonly graphiql: boolean;
  readonly logLevel: (typeof LOG_LEVELS)[number];
}

/** What is wrong with the environment: one line a fault, each naming its variable. */
export class EnvError extends Error {
  override readonly name = 'EnvError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join('\n'));
    this.faults = faults;
  }
}

/**
 * Reads our variables, the only place that does. An empty variable counts as not set.
 *
 * @throws EnvError with every fault at once; the values are not repeated, they may be secrets
 */
export function readEnv(environment: NodeJS.ProcessEnv = process.env): Env {
  const set = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = variables.safeParse(set);
  const faults = parsed.success
    ? contradictions(parsed.data)
    : parsed.error.issues.map((issue) => `${issue.path[0]?.toString()} ${issue.message}`);
  if (!parsed.success || faults.length > 0) throw new EnvError([...new Set(faults)]);
  const v = parsed.data;
  return {
    port: v.PORT,
    host: v.HOST,
    database: v.DATABASE_URL
      ? { url: v.DATABASE_URL, ownerUrl: v.MIGRATION_DATABASE_URL ?? v.DATABASE_URL }
      : undefined,
    dataDir: v.DATA_DIR,
    redisUrl: v.REDIS_URL,
    gemini: v.GEMINI_API_KEY
      ? { apiKey: v.GEMINI_API_KEY, model: v.GEMINI_MODEL, baseUrl: v.GEMINI_BASE_URL }
      : undefined,
    supabase: {
      url: v.SUPABASE_URL,
      jwtSecret: v.SUPABASE_JWT_SECRET,
      anonKey: v.SUPABASE_ANON_KEY,
    },
    processes: v.WEB_CONCURRENCY,
    rateLimitPerMinute: v.RATE_LIMIT_PER_MINUTE,
    trustProxy: v.TRUST_PROXY === 'true',
    graphiql: v.GRAPHIQL ? v.GRAPHIQL === 'true' : v.NODE_ENV !== 'production',
    logLevel: v.LOG_LEVEL,
  };
}

function contradictions(v: z.infer<typeof variables>): string[] {
  const faults: string[] = [];
  if (v.MIGRATION_DATABASE_URL && !v.DATABASE_URL) {
    faults.push('MIGRATION_DATABASE_URL needs DATABASE_URL beside it');
  }
  if (v.SUPABASE_ANON_KEY && !v.SUPABASE_URL) {
    faults.push('SUPABASE_ANON_KEY needs SUPABASE_URL beside it');
  }
  // In a process of its own each would keep pages that the others have changed.
  if (v.WEB_CONCURRENCY > 1 && !v.REDIS_URL) {
    faults.push('WEB_CONCURRENCY above 1 needs REDIS_URL beside it');
  }
  return faults;
}

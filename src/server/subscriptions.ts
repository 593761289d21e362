import type { ServerResponse } from 'node:http';
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  visit,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { LRUCache } from 'lru-cache';
import { ExpectedError } from '../errors.ts';
import type { Context } from '../resolvers/context.ts';
import type { Queue } from '../services/queue.ts';
import type { Tally } from './connections.ts';
import type { ErrorMask } from './errors.ts';

/** What a device has subscribed to. */
export interface Subscription {
  readonly events: Queue<object>;
  /**
   * An event as this device asked for it: an execution result in JSON. Made once for all devices that
   * ask alike.
   */
  readonly render: (event: object) => string | Promise<string>;
}

export interface SubscriptionArgs {
  readonly document: DocumentNode;
  readonly operationName?: string | null | undefined;
  readonly variableValues?: Readonly<Record<string, unknown>> | null | undefined;
  readonly contextValue: Context;
}

/** Subscribes; the errors of a refusal are not masked yet. */
export type Subscribe = (args: SubscriptionArgs) => Promise<Subscription | ExecutionResult>;

/** How events are told: one document with the variables that shape its results. */
type Rendering = (event: object, context: Context) => string | Promise<string>;

interface Parts {
  readonly schema: GraphQLSchema;
  readonly maskError: ErrorMask;
}

/** So many events are remembered: devices that are pushed to ask at once, streams that keep up soon. */
const REMEMBERED = 16;
/** Ways of telling an event that are kept for a document, which is one if it has no variables. */
const MAX_RENDERINGS = 100;

/**
 * Subscriptions whose events are executed and serialised once, however many devices wait for them.
 * graphql's own `subscribe` does both for each device: three times the work of sending for one.
 *
 * An event belongs to one user's feed, so that what is made of it is seen by that user alone.
 */
export function createSubscriptions({ schema, maskError }: Parts): Subscribe {
  const byDocument = new WeakMap<DocumentNode, LRUCache<string, Rendering>>();

  function renderingOf(args: SubscriptionArgs): Rendering {
    const { document, variableValues } = args;
    let renderings = byDocument.get(document);
    if (!renderings) {
      renderings = new LRUCache({ max: MAX_RENDERINGS });
      byDocument.set(document, renderings);
    }
    const names = shapingVariables(document, args.operationName);
    const key = JSON.stringify([
      args.operationName ?? null,
      ...names.map((name) => variableValues?.[name] ?? null),
    ]);
    let rendering = renderings.get(key);
    if (!rendering) {
      rendering = createRendering(args);
      renderings.set(key, rendering);
    }
    return rendering;
  }

  function createRendering({
    document,
    operationName,
    variableValues,
  }: SubscriptionArgs): Rendering {
    // Not a WeakMap: with a thousand events a second that makes the collector's pauses three times as long.
    const rendered = new Map<object, string | Promise<string>>();
    const toJson = ({ data, errors }: ExecutionResult) =>
      JSON.stringify(errors ? { data, errors: errors.map(maskError) } : { data });
    return (event, contextValue) => {
      const known = rendered.get(event);
      if (known !== undefined) return known;
      const args = { schema, document, operationName, variableValues, contextValue };
      const result = execute({ ...args, rootValue: event } as ExecutionArgs);
      const json = result instanceof Promise ? result.then(toJson) : toJson(result);
      rendered.set(event, json);
      if (rendered.size > REMEMBERED) rendered.delete(rendered.keys().next().value as object);
      return json;
    };
  }

  return async (args) => {
    const source = await createSourceEventStream({ schema, ...args } as ExecutionArgs);
    if (!(Symbol.asyncIterator in source)) return source;
    const render = renderingOf(args);
    const { contextValue } = args;
    return {
      // All our subscription fields give queues.
      events: source as Queue<object>,
      render: (event) => render(event, contextValue),
    };
  };
}

/** The variables that change what a result looks like: not those that choose the events. */
function shapingVariables(
  document: DocumentNode,
  operationName: string | null | undefined,
): readonly string[] {
  const names = new Set<string>();
  const collect = {
    Variable: ({ name }: { name: { value: string } }) => void names.add(name.value),
  };
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, collect);
  }
  for (const selection of getOperationAST(document, operationName)?.selectionSet.selections ?? []) {
    visit(selection.kind === Kind.FIELD ? { ...selection, arguments: [] } : selection, collect);
  }
  return [...names].sort();
}

/** What Yoga and we hand on instead of a result that would be serialised again. */
export interface RenderedResult extends ExecutionResult {
  stringify(): string;
}

/** The same for streams over HTTP, each of which counts as a connection of its user. */
export function useSharedSubscriptions(
  subscribe: Subscribe,
  { users, maskError }: { users: Tally; maskError: ErrorMask },
): Plugin<Context> {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn(async (given) => {
        const args = given as SubscriptionArgs;
        const { viewer } = args.contextValue;
        const release = viewer ? users.take(viewer.sub) : () => {};
        if (!release) throw tooManyConnections();
        const subscription = await subscribe(args).catch((error: unknown) => {
          release();
          throw error;
        });
        if ('events' in subscription) {
          const { res: response } = args.contextValue as { res?: ServerResponse };
          return untilClosed(results(subscription, { release, maskError }), response);
        }
        release();
        return subscription;
      });
    },
  };
}

/**
 * Ends with its response. Yoga's adapter cancels what it is sending, but not what it finds that it need not
 * begin to send, since the client has gone while it subscribed: that would run until its token does.
 */
function untilClosed(
  events: AsyncIterableIterator<RenderedResult>,
  response: ServerResponse | undefined,
): AsyncIterableIterator<RenderedResult> {
  const leave = () => void events.return?.();
  if (response?.destroyed) leave();
  else response?.once('close', leave);
  return events;
}

const RETRY_AFTER_MS = 5_000;

function tooManyConnections(): ExpectedError {
  return new ExpectedError('RATE_LIMITED', 'Too many connections of this user are open.', {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function results(
  { events, render }: Subscription,
  { release, maskError }: { release: () => void; maskError: ErrorMask },
): AsyncIterableIterator<RenderedResult> {
  const result = (json: string): IteratorResult<RenderedResult> => ({
    done: false,
    value: { stringify: () => json },
  });
  return {
    async next() {
      try {
        const { done, value } = await events.next();
        if (!done) return result(await render(value));
        release();
        return { done, value: undefined };
      } catch (error) {
        // Told, instead of breaking the stream off; the next one finds it ended.
        return result(JSON.stringify({ errors: [maskError(error)] }));
      }
    },
    async return() {
      release();
      await events.return();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createZippedFile, type File, sendFile } from './file.ts';
import { PAGE_HEADERS, policy } from './headers.ts';

const own = fileURLToPath(new URL('../../web/graphiql/', import.meta.url));
const graphqlWs = join(dirname(createRequire(import.meta.url).resolve('graphql-ws')), '.');

// Nothing is loaded from another host. Monaco styles its lines inline, and GraphiQL's fonts and icons
// are data URLs.
const POLICY = policy({
  'script-src': "'self'",
  'style-src': "'self' 'unsafe-inline'",
  'font-src': 'data:',
  'img-src': 'data:',
  'connect-src': "'self'",
  'worker-src': "'self'",
});

/** GraphiQL and all it needs, from this server's own files: `/graphiql/…`. */
export function createGraphiql() {
  const files = new Map<string, Promise<File | undefined>>();

  async function load(name: string): Promise<File | undefined> {
    const text = await read(name);
    return text === undefined ? undefined : createZippedFile(name, Buffer.from(text));
  }

  return {
    /** Answers a request for the file of that name, or with 404. */
    async serve(name: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
      let loading = files.get(name);
      if (!loading) {
        loading = load(name);
        if (KNOWN.test(name)) files.set(name, loading);
        loading.catch(() => files.delete(name));
      }
      const file = await loading;
      if (!file) {
        response.writeHead(404).end();
        return;
      }
      const headers = {
        ...PAGE_HEADERS,
        'cache-control': 'no-cache',
        'content-security-policy': POLICY,
      };
      sendFile(file, headers, request, response);
    },
  };
}

const KNOWN =
  /^(index\.html|page\.js|workers\.js|graphiql\.(js|css)|(editor|json|graphql)\.worker\.js|graphql-ws\/(client|common-\w+)\.js)$/;

async function read(name: string): Promise<string | undefined> {
  if (!KNOWN.test(name)) return undefined;
  if (name.startsWith('graphql-ws/')) {
    return readFile(join(graphqlWs, name.slice('graphql-ws/'.length)), 'utf8').catch(
      () => undefined,
    );
  }
  // The package's build of GraphiQL is nine megabytes of strings: loaded when somebody asks for it.
  const bundle = await import('@graphql-yoga/render-graphiql/graphiql');
  switch (name) {
    case 'graphiql.js':
      return bundle.js;
    case 'graphiql.css':
      return bundle.css;
    case 'editor.worker.js':
      return bundle.editorWorkerService;
    case 'json.worker.js':
      return bundle.jsonWorker;
    case 'graphql.worker.js':
      return bundle.graphqlWorker;
    default:
      return readFile(join(own, name), 'utf8');
  }
}

export type Graphiql = ReturnType<typeof createGraphiql>;

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jwtVerify } from 'jose';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/node';
import { postgraphile } from 'postgraphile';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';
import { runContestant } from '../kit/contestant.ts';

/** PostGraphile on the same table, under the same row level security; it has no cache of its own. */
runContestant(async ({ database, jwtSecret }) => {
  const secret = Buffer.from(jwtSecret);
  const claimsOf = async (authorization = '') =>
    (await jwtVerify(authorization.slice('Bearer '.length), secret, { audience: 'authenticated' }))
      .payload;
  const instance = postgraphile({
    extends: [PostGraphileAmberPreset],
    pgServices: [makePgService({ connectionString: database.url, schemas: ['public'] })],
    grafserv: { graphqlPath: '/graphql', graphiql: false },
    grafast: {
      async context({ node }: { node: { req: IncomingMessage } }) {
        const claims = await claimsOf(node.req.headers.authorization);
        return {
          pgSettings: { role: 'authenticated', 'request.jwt.claims': JSON.stringify(claims) },
        };
      },
    },
  });
  const server = createServer();
  await instance.createServ(grafserv).addTo(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/graphql`;
});

import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { type Finding, fault, ok } from './finding.ts';

/** What the server sends, by itself or from a script; `KEY` and `CHANNEL` are named as it names them. */
export const COMMANDS = [
  ['evalsha', 'sha', '1', 'KEY'],
  ['time'],
  ['get', 'KEY'],
  ['set', 'KEY', '1', 'PX', '1000'],
  ['incrby', 'KEY', '1'],
  ['pttl', 'KEY'],
  ['hget', 'KEY', 'seq'],
  ['hmget', 'KEY', 'seq'],
  ['hset', 'KEY', 'seq', '1'],
  ['expire', 'KEY', '1'],
  ['info'],
  ['client', 'info'],
] as const;

/** Beside them, where there is no Cluster. */
export const ONE_REDIS = [
  ['mget', 'KEY'],
  ['publish', 'CHANNEL', ''],
  ['subscribe', 'CHANNEL'],
  ['unsubscribe', 'CHANNEL'],
] as const;

const CLUSTER = [
  ['spublish', 'CHANNEL', ''],
  ['ssubscribe', 'CHANNEL'],
  ['sunsubscribe', 'CHANNEL'],
  ['cluster', 'slots'],
  ['cluster', 'info'],
] as const;

// Asks the ACL only, so that nothing is written: https://redis.io/docs/latest/develop/programmability/lua-api/
const REFUSED = `
local refused = {}
for _, text in ipairs(ARGV) do
  local command = cjson.decode(text)
  if not redis.acl_check_cmd(unpack(command)) then
    table.insert(refused, (command[1] == 'client' or command[1] == 'cluster')
      and command[1] .. ' ' .. command[2] or command[1])
  end
end
return refused`;

/** Whether the user of REDIS_URL may do all that the server does. */
export async function commandsFinding(client: Redis, isCluster: boolean): Promise<Finding> {
  const id = randomUUID();
  const commands = [...COMMANDS, ...(isCluster ? CLUSTER : ONE_REDIS)].map((command) =>
    JSON.stringify(
      command.map((word) =>
        word === 'KEY' ? `chat:seq:{${id}}` : word === 'CHANNEL' ? `chat:events:{${id}}` : word,
      ),
    ),
  );
  const refused = await client
    .eval(REFUSED, 0, ...commands)
    .then((names) => names as string[])
    .catch((error: Error) => {
      if (error.message.startsWith('NOPERM')) return ['eval'];
      throw error;
    });
  if (refused.length === 0) return ok('commands', 'all that are needed');
  const names = refused.map((name) => name.toUpperCase()).join(', ');
  return fault(
    'commands',
    `the user may not ${names}`,
    'Let it: acl setuser … ~chat:* &chat:* +@read +@write +@scripting +@pubsub +@connection +time +info +cluster',
  );
}

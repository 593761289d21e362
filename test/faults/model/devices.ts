import fc from 'fast-check';
import { command, someone, personOf } from './command.ts';
import { openDevice } from './world.ts';

export const attach = command('attach', fc.record(someone), async (world, { user, via }) => {
  const person = personOf(world, { user });
  if (!person.device) person.device = await openDevice(world, person, via);
  else if (person.device.isAttached) await person.device.show();
  else await person.device.attach(via);
});

export const detach = command(
  'detach',
  fc.record({ user: fc.nat(1) }),
  async (world, { user }) => personOf(world, { user }).device?.cut(),
  (world, { user }) => !!personOf(world, { user }).device?.isAttached,
);

export const endLease = command(
  'endLease',
  fc.record({ user: fc.nat(1) }),
  async (world, { user }) => world.parts.endLease(personOf(world, { user }).client.userId),
);

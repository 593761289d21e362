import fc from 'fast-check';
import { count, type Person, type World } from './world.ts';

/*
 * What two users do, and what happens to the parts meanwhile. Each command asks, says to the model what
 * has become of it, and compares; those that read compare what they read. Numbers choose from what there
 * is at that moment, so that a command means something in every sequence that is left when it shrinks.
 */

export type Command = fc.AsyncCommand<World, World>;

/** The world is the model and the real thing: what is plain in it is in its histories. */
export function command<A>(
  name: string,
  args: fc.Arbitrary<A>,
  act: (world: World, args: A) => Promise<void>,
  makesSense: (world: World, args: A) => boolean = () => true,
): fc.Arbitrary<Command> {
  return args.map((given) => ({
    check: (world) => makesSense(world, given),
    async run(world) {
      count(world, name);
      await act(world, given);
    },
    toString: () => `${name}(${JSON.stringify(given)})`,
  }));
}

export const someone = { user: fc.nat(1), via: fc.nat(2) };
export type Someone = { readonly user: number; readonly via: number };
export const which = fc.nat(11);

export const personOf = ({ people }: World, { user }: Pick<Someone, 'user'>) =>
  people[user] as Person;
export const otherOf = ({ people }: World, { user }: Pick<Someone, 'user'>) =>
  people[1 - user] as Person;
export const choose = <T>(from: readonly T[], n: number): T | undefined => from[n % from.length];

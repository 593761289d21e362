import { type Finding, look, type Note } from './finding.ts';
import { reasonOf } from './reason.ts';

/** Notes what is found; what cannot be looked at is a line too, and hides nothing of what comes after it. */
export async function attempt(
  subject: string,
  note: Note,
  find: () => Promise<Finding | readonly Finding[]>,
): Promise<void> {
  try {
    note(...[await find()].flat());
  } catch (error) {
    const advice = 'Look at it by hand, or as a role that may.';
    note(look(subject, `could not be looked at: ${reasonOf(error)}`, advice));
  }
}

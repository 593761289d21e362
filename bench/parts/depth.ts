import type { Bench, Report } from '../kit/bench.ts';
import { createFigures } from '../kit/figures.ts';
import { PAGE_SIZE } from '../kit/http.ts';
import { openStage } from '../kit/stage.ts';

const AS = 'uncached';
const PAGE = 2_000;
const OTHERS = 100;
const OTHERS_HAVE = 300;
const WARM_UP_S = 0.5;

const DEEP = `page ${PAGE.toLocaleString('en')} by its cursor`;
const SKIPPED = `page ${PAGE.toLocaleString('en')} by offset`;
const AGAINST = "p50 against the first page's";

/** How far back in a long life a page lies must not matter. */
export async function depth(bench: Bench): Promise<Report> {
  const stage = await openStage(bench);
  const manyMessages = PAGE * PAGE_SIZE;
  const load = await stage.askers({ users: 1 + OTHERS, messages: OTHERS_HAVE, manyMessages });
  const { server, url } = await stage.enter(AS);
  const asked = { as: AS, url, from: 0, users: 1, connections: 1 };
  const skipped = (PAGE - 1) * PAGE_SIZE;
  const after = await load.ask('endCursor', { ...asked, offset: skipped - PAGE_SIZE });
  const figures = createFigures({ [`${DEEP}: ${AGAINST}`]: { value: 2 } });
  const pages = { 'first page': {}, [DEEP]: { after }, [SKIPPED]: { offset: skipped } };
  for (let round = 1; round <= bench.rounds; round += 1) {
    let first = Number.NaN;
    for (const [name, where] of Object.entries(pages)) {
      bench.progress(`round ${round} of ${bench.rounds}: ${name}`);
      const given = { ...asked, ...where };
      await load.ask('hammer', { ...given, seconds: WARM_UP_S });
      const { result, spent } = await stage.meters.during(server, () =>
        load.ask('hammer', { ...given, seconds: bench.seconds }),
      );
      if (name === 'first page') first = result.p50;
      else figures.add(`${name}: ${AGAINST}`, 'x', AS, result.p50 / first);
      figures.add(`${name}: p50`, 'ms', AS, result.p50);
      figures.add(`${name}: p99`, 'ms', AS, result.p99);
      figures.add(`${name}: PostgreSQL's CPU`, 'µs', AS, spent.postgres / result.requests);
    }
  }
  return {
    title: `A life of ${manyMessages.toLocaleString('en')} messages: its first page and its ${PAGE.toLocaleString('en')}th`,
    contestants: {
      [AS]: 'the product without its response cache, which would hide where a page lies.',
    },
    promised: AS,
    figures: figures.all(),
    notes: [
      `A cursor names the place, and PostgreSQL begins there; an offset has to be counted off. One connection; ${OTHERS} others have ${OTHERS_HAVE} messages each.`,
    ],
  };
}

/** One send as its client saw it, in Jepsen's words: unknown is what may have been stored, or not. */
export interface Call {
  readonly text: string;
  outcome: 'ok' | 'failed' | 'unknown';
  /** When it was sent first, and when it was known; moments that only count. */
  readonly began: number;
  ended: number;
}

/** What one user sent, to be held against what one finds in the end. */
export function createLedger() {
  const calls = new Map<string, Call>();
  const counts = { ok: 0, failed: 0, unknown: 0 };
  let moment = 0;

  /** By a message's place: where one stands before another that had been acknowledged when it was sent. */
  function inversions(stored: readonly Call[]): string[] {
    const faults: string[] = [];
    let earliest: Call | undefined;
    for (const call of stored.toReversed()) {
      if (earliest && earliest.ended < call.began) {
        faults.push(`${call.text} stands before ${earliest.text}, which was stored already`);
      }
      if (call.outcome === 'ok' && call.ended < (earliest?.ended ?? Number.POSITIVE_INFINITY)) {
        earliest = call;
      }
    }
    return faults;
  }

  return {
    /** To be called before a text is sent first; texts are unique. */
    begin(text: string): Call {
      moment += 1;
      const call: Call = { text, outcome: 'unknown', began: moment, ended: Infinity };
      calls.set(text, call);
      counts.unknown += 1;
      return call;
    },
    settle(call: Call, outcome: 'ok' | 'failed'): void {
      moment += 1;
      counts[call.outcome] -= 1;
      counts[outcome] += 1;
      call.outcome = outcome;
      call.ended = moment;
    },
    count: (outcome: Call['outcome']): number => counts[outcome],
    /** What is wrong with a history, given oldest first. */
    faultsOf(messages: readonly { readonly message: string }[]): string[] {
      const faults: string[] = [];
      const found = new Set<string>();
      for (const { message } of messages) {
        const call = calls.get(message);
        if (!call) faults.push(`${message} was never sent`);
        if (call?.outcome === 'failed') faults.push(`${message} was refused, and is there`);
        if (found.has(message)) faults.push(`${message} is there twice`);
        found.add(message);
      }
      for (const { text, outcome } of calls.values()) {
        if (outcome === 'ok' && !found.has(text)) faults.push(`${text} was acknowledged, and lost`);
      }
      const stored = messages.flatMap(({ message }) => calls.get(message) ?? []);
      return [...faults, ...inversions(stored)];
    },
  };
}

export type Ledger = ReturnType<typeof createLedger>;

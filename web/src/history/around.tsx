import { useChat } from '../chat.tsx';

/** Before the first exchange on show: more that is coming, or where it all began. */
export function Older({ hasOlder }: { hasOlder: boolean }) {
  if (hasOlder) return <Lines count={2} label="Reading what is older" />;
  return <p className="history-began">This is where it began.</p>;
}

/** What the page looks like before it is there. */
export function HistorySkeleton() {
  return (
    <section className="history history-loading" aria-label="Conversation" aria-busy="true">
      <Lines count={5} label="Reading the conversation" />
      <div className="history-foot" />
    </section>
  );
}

function Lines({ count, label }: { count: number; label: string }) {
  const keys = Array.from({ length: count }, (_, n) => n);
  return (
    <div className="skeleton">
      <span className="only-read-aloud">{label}</span>
      {keys.map((n) => (
        <div key={n} aria-hidden="true">
          <i className="skeleton-said" />
          <i />
          <i />
        </div>
      ))}
    </div>
  );
}

export function HistoryFailure({ reason, onRetry }: { reason: string; onRetry: () => void }) {
  return (
    <section className="history history-failure" aria-label="Conversation">
      <p role="alert">
        {reason}{' '}
        <button type="button" className="plain-button" onClick={onRetry}>
          Try again
        </button>
      </p>
    </section>
  );
}

const FIRST_LINES = {
  morning: [
    'What would make today a good day?',
    'Help me think through what I have to do this morning.',
    'I dreamt something odd last night.',
  ],
  day: [
    'I would like to learn something new. Where do I begin?',
    'Something has been on my mind today.',
    'Help me write a letter that I have been putting off.',
  ],
  evening: [
    'Let me tell you how today went.',
    'What could I look forward to tomorrow?',
    'Recommend me something to read tonight.',
  ],
} as const;

function partOfDay(hour: number): keyof typeof FIRST_LINES {
  if (hour >= 4 && hour < 11) return 'morning';
  return hour >= 11 && hour < 18 ? 'day' : 'evening';
}

/** An empty history is an invitation. */
export function Beginning() {
  const { outbox } = useChat();
  return (
    <section className="history history-empty" aria-label="Conversation">
      <h2>A conversation to keep</h2>
      <p>
        What you write here is kept for life: found again by any word of it, on every device of
        yours, and read by nobody else.
      </p>
      <ul>
        {FIRST_LINES[partOfDay(new Date().getHours())].map((line) => (
          <li key={line}>
            <button type="button" onClick={() => outbox.send(line)}>
              {line}
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

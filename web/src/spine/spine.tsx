import { lazy, Suspense, useEffect, useState } from 'react';
import { useChat } from '../chat.tsx';

const Timeline = lazy(() =>
  import('./timeline.tsx').then(({ Timeline }) => ({ default: Timeline })),
);

/** The years at the edge of the page. Comes once the conversation is there to be read. */
export function Spine() {
  const { history } = useChat();
  const [isDue, setDue] = useState(false);
  useEffect(() => {
    const look = () => setDue((is) => is || !history.view.loading);
    look();
    return history.subscribe(look);
  }, [history]);
  if (!isDue) return null;
  return (
    <Suspense fallback={null}>
      <Timeline />
    </Suspense>
  );
}

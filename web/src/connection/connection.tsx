import './connection.css';
import { useEffect, useState } from 'react';
import { useConnection } from '../chat.tsx';

/** A connection that comes back at once is not worth a word. */
const PATIENCE_MS = 2_000;

/** Says that there is no connection once it has been away for a while, and nothing else ever. */
export function ConnectionNote() {
  const connection = useConnection();
  const [isShown, show] = useState(false);
  useEffect(() => {
    if (connection !== 'away') return show(false);
    const timer = setTimeout(() => show(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [connection]);
  return (
    <p className="connection" role="status">
      {isShown && 'No connection. What you write is kept, and goes out when it is back.'}
    </p>
  );
}

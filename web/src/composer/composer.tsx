import { useState } from 'react';
import { useChat } from '../chat.tsx';

export function Composer() {
  const { outbox } = useChat();
  const [text, setText] = useState('');
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        outbox.send(text);
        setText('');
      }}
    >
      <textarea aria-label="Message" value={text} onChange={(e) => setText(e.target.value)} />
      <button type="submit">Send</button>
    </form>
  );
}

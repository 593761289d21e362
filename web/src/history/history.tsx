import { useEffect } from 'react';
import { useChat, useHistory } from '../chat.tsx';
import { Exchange } from '../message/exchange.tsx';

export function History() {
  const { history } = useChat();
  const view = useHistory();
  useEffect(() => void history.toNewest(), [history]);
  return (
    <ol>
      {view.nodes.map((node) => (
        <li key={node.id}>
          <Exchange message={node} />
        </li>
      ))}
    </ol>
  );
}

import './grammar.css';

const PARTS = [
  ['"word for word"', 'as it stands'],
  ['-word', 'where it is not'],
  ['from:me', 'in what you wrote'],
  ['from:reply', 'in the replies'],
  ['before:2026-06-01', 'older than that day'],
  ['on:2026-06', 'in that month, day or year'],
  ['after:2026-06-01', 'newer than that day'],
  ['mood:negative', 'of that mood'],
  ['has:personality', 'sent with a personality'],
] as const;

interface Props {
  readonly isOpen: boolean;
  onUse(part: string): void;
}

/** What can be written in the field; each line puts itself there. */
export function Grammar({ isOpen, onUse }: Props) {
  return (
    <details className="grammar" open={isOpen}>
      <summary>What can be written here</summary>
      <ul>
        {PARTS.map(([part, meaning]) => (
          <li key={part}>
            <button type="button" onClick={() => onUse(part)}>
              <code>{part}</code> <span>{meaning}</span>
            </button>
          </li>
        ))}
      </ul>
    </details>
  );
}

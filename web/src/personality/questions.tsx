import { useId } from 'react';
import type { PersonalContext } from './context.ts';

interface Props {
  readonly context: PersonalContext;
  readonly onAnswer: (key: string, text: string) => void;
}

interface Question {
  readonly key: string;
  readonly label: string;
  readonly example: string;
  readonly rows: number;
}

const QUESTIONS: readonly Question[] = [
  { key: 'name', label: 'Name to call you', example: 'Ada', rows: 1 },
  {
    key: 'tone',
    label: 'How should I talk?',
    example: 'Briefly and plainly, with a dry joke now and then',
    rows: 2,
  },
  {
    key: 'about',
    label: 'What should I know about you?',
    example: 'I teach physics, have two children and run in the mornings',
    rows: 4,
  },
];

/** The usual parts of a context as questions; what else it holds stays as it is. */
export function Questions({ context, onAnswer }: Props) {
  const others = Object.keys(context).filter((key) =>
    QUESTIONS.every((known) => known.key !== key),
  );
  return (
    <>
      {QUESTIONS.map((question) => (
        <Answer
          key={question.key}
          question={question}
          value={context[question.key]}
          onAnswer={(text) => onAnswer(question.key, text)}
        />
      ))}
      {others.length > 0 && (
        <p className="quiet" dir="auto">
          {new Intl.ListFormat('en').format(others)} {others.length > 1 ? 'go' : 'goes'} along too.
        </p>
      )}
    </>
  );
}

function Answer({
  question: { label, example, rows },
  value,
  onAnswer,
}: {
  question: Question;
  value: unknown;
  onAnswer: (text: string) => void;
}) {
  const id = useId();
  const isText = value === undefined || typeof value === 'string';
  const field = {
    id,
    dir: 'auto',
    placeholder: `For example: ${example}`,
    // Set as JSON to something else than a text: not for a field to overwrite.
    readOnly: !isText,
    value: typeof value === 'object' ? JSON.stringify(value) : String(value ?? ''),
    onChange: ({ target }: { target: { value: string } }) => onAnswer(target.value),
  };
  return (
    <div className="answer">
      <label htmlFor={id}>{label}</label>
      {rows === 1 ? (
        <input autoComplete="nickname" {...field} />
      ) : (
        <textarea rows={rows} {...field} />
      )}
    </div>
  );
}

import type { ExtraProps } from 'react-markdown';
import { CopyButton } from './copy-button.tsx';

/** Code as it stands, with the name of its language and a way to take it along. */
export function CodeBlock({ node }: ExtraProps) {
  const code = node?.children[0];
  if (code?.type !== 'element') return null;
  const classes = code.properties['className'];
  const language = Array.isArray(classes)
    ? String(classes.find((name) => String(name).startsWith('language-')) ?? '').slice(9)
    : '';
  const text = code.children.map((child) => (child.type === 'text' ? child.value : '')).join('');
  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{language}</span>
        <CopyButton label="Copy code" text={text}>
          Copy
        </CopyButton>
      </figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to reach it */}
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </figure>
  );
}

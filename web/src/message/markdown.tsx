import './markdown.css';
import { type FunctionComponent, memo, type ReactNode, useMemo } from 'react';
import ReactMarkdown, { type Components } from 'react-markdown';

import { splitBlocks } from './blocks.ts';
import { gfm } from './gfm.ts';
import { CodeBlock } from './code-block.tsx';
import { imagesAsLinks, withoutIds } from './plugins.ts';
import { closeOpen } from './unfinished.ts';

interface Props {
  readonly text: string;
  /** More is to come: what is begun is shown as if it were closed, and a caret stands at the end. */
  readonly isGrowing: boolean;
}

/**
 * A reply in markdown. HTML in it is shown as the text that it is, images are links, and links lead to
 * the web or to a mail only. Of a reply that grows, nothing but its last block is parsed again.
 */
export function Markdown({ text, isGrowing }: Props) {
  const blocks = useMemo(() => splitBlocks(text), [text]);
  return (
    <div className={isGrowing ? 'markdown growing' : 'markdown'}>
      {blocks.map((block, n) => {
        const isOpen = isGrowing && n === blocks.length - 1;
        // Blocks come to the end only, so that a number is a name.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        return <Block key={n} text={isOpen ? closeOpen(block) : block.trimEnd()} />;
      })}
    </div>
  );
}

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown
      remarkPlugins={[gfm, imagesAsLinks]}
      rehypePlugins={[withoutIds]}
      components={COMPONENTS}
      urlTransform={safeUrl}
    >
      {text}
    </ReactMarkdown>
  );
});

const SAFE = new Set(['http:', 'https:', 'mailto:']);

/** An absolute address of the web or a mail's, as the browser itself reads it; nothing otherwise. */
function safeUrl(url: string): string | undefined {
  if (!URL.canParse(url)) return undefined;
  const { protocol, href } = new URL(url);
  return SAFE.has(protocol) ? href : undefined;
}

/** The outline of a page is its days; within a reply all headings stand below them, side by side. */
const heading = (level: number): FunctionComponent<{ children?: ReactNode }> =>
  function Heading({ children }) {
    return (
      <h3 className={`level-${level}`} dir="auto">
        {children}
      </h3>
    );
  };

const COMPONENTS: Components = {
  h1: heading(1),
  h2: heading(2),
  h3: heading(3),
  h4: heading(4),
  h5: heading(4),
  h6: heading(4),
  p: ({ children }) => <p dir="auto">{children}</p>,
  ul: ({ children, className }) => (
    <ul dir="auto" className={className}>
      {children}
    </ul>
  ),
  ol: ({ children, className, start }) => (
    <ol dir="auto" className={className} start={start}>
      {children}
    </ol>
  ),
  blockquote: ({ children }) => <blockquote dir="auto">{children}</blockquote>,
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer" dir="auto">
        {children}
      </a>
    ) : (
      children
    ),
  table: ({ children }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to reach it
    <section className="table" aria-label="Table" tabIndex={0}>
      <table>{children}</table>
    </section>
  ),
  th: ({ children, style }) => (
    <th dir="auto" style={style}>
      {children}
    </th>
  ),
  td: ({ children, style }) => (
    <td dir="auto" style={style}>
      {children}
    </td>
  ),
  input: ({ checked }) => (
    <input type="checkbox" checked={checked} disabled aria-label={checked ? 'done' : 'to do'} />
  ),
  pre: CodeBlock,
};

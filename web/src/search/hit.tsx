import { type FragmentType, graphql, readFragment } from '../graphql/generated/index.ts';
import type { Hit_SearchEdgeFragment } from '../graphql/generated/graphql.ts';

const HitSearchEdge = graphql(/* GraphQL */ `
  fragment Hit_SearchEdge on SearchEdge {
    snippet {
      field
      text
      hasBefore
      hasAfter
      highlights {
        start
        end
      }
    }
    node {
      id
      createdAt
      message
    }
  }
`);

interface Props {
  readonly edge: FragmentType<typeof HitSearchEdge>;
}

type Snippet = Hit_SearchEdgeFragment['snippet'];

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' });

/** More than fits into the one line that is shown of it. */
const LINE = 200;

/** The passage that was found, and when; of a reply also what it replied to. */
export function Hit({ edge }: Props) {
  const { snippet, node } = readFragment(HitSearchEdge, edge);
  return (
    <>
      <time dateTime={node.createdAt}>{moments.format(new Date(node.createdAt))}</time>
      {snippet.field === 'RESPONSE' && (
        <p className="hit-asked">
          <span className="only-read-aloud">You: </span>
          <span dir="auto">{node.message.slice(0, LINE).replace(/[\ud800-\udbff]$/, '')}</span>
        </p>
      )}
      <p className={snippet.field === 'RESPONSE' ? 'hit-replied' : undefined}>
        <span className="only-read-aloud">
          {snippet.field === 'RESPONSE' ? 'Reply: ' : 'You: '}
        </span>
        <Passage {...snippet} />
      </p>
    </>
  );
}

function Passage({ field, text, hasBefore, hasAfter, highlights }: Snippet) {
  const plain = (part: string) => (field === 'RESPONSE' ? unformatted(part) : part);
  return (
    <span dir="auto">
      {hasBefore && '… '}
      {highlights.map(({ start, end }, index) => (
        <span key={start}>
          {plain(text.slice(highlights[index - 1]?.end ?? 0, start))}
          <mark>{text.slice(start, end)}</mark>
        </span>
      ))}
      {plain(text.slice(highlights.at(-1)?.end ?? 0))}
      {hasAfter && ' …'}
    </span>
  );
}

/** Replies are Markdown, whose commonest marks say nothing in a passage. */
const unformatted = (text: string): string =>
  text.replace(/\*\*|`+|(?<=\n) *(?:#{1,6}|[-*>]) (?:\[[ x]\] )?/gi, '');

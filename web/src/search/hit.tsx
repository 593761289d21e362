import { type FragmentType, graphql, readFragment } from '../graphql/generated/index.ts';
import { type Part, passageOf } from './passage.ts';

const HitSearchEdge = graphql(/* GraphQL */ `
  fragment Hit_SearchEdge on SearchEdge {
    highlights {
      field
      start
      end
    }
    node {
      id
      createdAt
      message
      response
    }
  }
`);

interface Props {
  readonly edge: FragmentType<typeof HitSearchEdge>;
}

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: 'long', timeStyle: 'short' });

/** The passage that was found: when, what was written, and the reply if it is what was found. */
export function Hit({ edge }: Props) {
  const { highlights, node } = readFragment(HitSearchEdge, edge);
  const said = highlights.filter(({ field }) => field === 'MESSAGE');
  const replied = highlights.filter(({ field }) => field === 'RESPONSE');
  return (
    <>
      <time dateTime={node.createdAt}>{moments.format(new Date(node.createdAt))}</time>
      <p>
        <span className="only-read-aloud">You: </span>
        <Passage parts={passageOf(node.message, said)} />
      </p>
      {replied.length > 0 && (
        <p className="hit-replied">
          <span className="only-read-aloud">Reply: </span>
          <Passage parts={passageOf(node.response, replied).map(unformatted)} />
        </p>
      )}
    </>
  );
}

function Passage({ parts }: { parts: readonly Part[] }) {
  return (
    <span dir="auto">
      {parts.map(({ text, isMarked }, index) =>
        // biome-ignore lint/suspicious/noArrayIndexKey: parts have no identity but their place
        isMarked ? <mark key={index}>{text}</mark> : <span key={index}>{text}</span>,
      )}
    </span>
  );
}

/** Replies are Markdown, whose commonest marks say nothing in a passage. */
const unformatted = ({ text, isMarked }: Part): Part => ({
  isMarked,
  text: isMarked ? text : text.replace(/\*\*|`+|(?<=\n) *(?:#{1,6}|[-*>]) (?:\[[ x]\] )?/gi, ''),
});

import { useSyncExternalStore } from 'react';

type Markdown = typeof import('./markdown.tsx').Markdown;

let Loaded: Markdown | undefined;
/** Begins with the page: mostly it is there before the first reply is. */
const loading = import('./markdown.tsx').then(
  ({ Markdown }) => {
    Loaded = Markdown;
  },
  // Without a network, or after a new version came: the text can be read as it is.
  () => {},
);

function subscribe(listener: () => void): () => void {
  let wanted = true;
  void loading.then(() => wanted && listener());
  return () => {
    wanted = false;
  };
}

interface Props {
  readonly text: string;
  readonly isGrowing: boolean;
}

/** A reply as its markdown says; as plain text, until what reads markdown has been loaded. */
export function Formatted(props: Props) {
  const Markdown = useSyncExternalStore(subscribe, () => Loaded);
  if (Markdown) return <Markdown {...props} />;
  return (
    <div className="unformatted" dir="auto">
      {props.text}
    </div>
  );
}

interface Options {
  /** Gets what is new, at most once in `everyMs`; `offset` counts UTF-16 code units. */
  readonly onNew: (offset: number, text: string) => void;
  readonly everyMs: number;
}

const endsInHalfAPair = (text: string) => /[\ud800-\udbff]$/.test(text);

/**
 * The text of a reply as it grows: fit to be stored, without NUL and without half a surrogate pair, so
 * that each state of it is the beginning of the next.
 */
export function createReplyText({ onNew, everyMs }: Options) {
  let text = '';
  /** The first half of a pair, whose second half comes with the next piece. */
  let half = '';
  let told = 0;
  let timer: NodeJS.Timeout | undefined;

  function tell(): void {
    timer = undefined;
    if (text.length === told) return;
    const offset = told;
    told = text.length;
    onNew(offset, text.slice(offset));
    timer = setTimeout(tell, everyMs);
  }

  return {
    add(piece: string): void {
      const whole = half + piece.replaceAll('\0', '');
      half = endsInHalfAPair(whole) ? whole.slice(-1) : '';
      text += whole.slice(0, whole.length - half.length).toWellFormed();
      if (!timer) tell();
    },
    get soFar(): string {
      return text;
    },
    /** The whole text, told to its end. Half a pair that broke off there is no character. */
    end(): string {
      clearTimeout(timer);
      tell();
      clearTimeout(timer);
      return text;
    },
    /** Tells nothing any more. */
    drop(): void {
      clearTimeout(timer);
    },
  };
}

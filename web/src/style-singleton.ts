import { useEffect } from 'react';

interface Props {
  readonly styles: string;
  readonly dynamic?: boolean;
}

/**
 * What `react-style-singleton` does, which this stands in for (see vite.config.ts): the first instance
 * of the component brings its styles, the last one takes them away. As a constructed style sheet, since
 * the page's policy lets nobody write `<style>` elements.
 */
export function styleSingleton() {
  let users = 0;
  let sheet: CSSStyleSheet | undefined;

  return function Styles({ styles, dynamic = false }: Props) {
    // As there: other styles count only if they are said to change.
    const known = dynamic ? styles : '';
    // biome-ignore lint/correctness/useExhaustiveDependencies: see above
    useEffect(() => {
      users += 1;
      if (!sheet) {
        sheet = new CSSStyleSheet();
        sheet.replaceSync(styles);
        document.adoptedStyleSheets.push(sheet);
      }
      return () => {
        users -= 1;
        if (users > 0) return;
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
        sheet = undefined;
      };
    }, [known]);
    return null;
  };
}

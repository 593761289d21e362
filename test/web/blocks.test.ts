import fc from 'fast-check';
import { createElement } from 'react';
import { renderToStaticMarkup } from 'react-dom/server';
import ReactMarkdown from 'react-markdown';
import { describe, expect, it } from 'vitest';
import { splitBlocks } from '../../web/src/message/blocks.ts';
import { gfm } from '../../web/src/message/gfm.ts';
import { closeOpen } from '../../web/src/message/unfinished.ts';

/** Blank lines at the end of code that is not closed come and go with what stands behind it. */
const render = (text: string): string =>
  renderToStaticMarkup(
    createElement(ReactMarkdown, { remarkPlugins: [gfm] }, text.trimEnd()),
  ).replaceAll(/\n+<\/code>/g, '</code>');

/** Between two blocks there is a line break or none, which nobody sees. */
const renderBlocks = (blocks: readonly string[]): string =>
  blocks
    .map(render)
    .filter((html) => html !== '')
    .join('\n');

const SAMPLES: Readonly<Record<string, string>> = {
  paragraphs: 'One\ntwo\n\nthree\n\n\n\nfour\n',
  headings: '# One\n\ntext\n\nTwo\n---\n\n### Three\ntext',
  'a tight list': '- one\n- two\n  - nested\n- three\n\ntext',
  'a loose list': '- one\n\n- two\n\n  more of two\n\n- three\n\ntext',
  'a list that begins at seven': '7. seven\n\n8. eight\n\ntext\n\n9. nine',
  'two lists': '- one\n\n* two\n\n1. three\n\n2) four',
  'a fence with blank lines': 'text\n\n```ts\nconst a = 1;\n\nconst b = 2;\n```\n\ntext',
  'a fence of tildes around one of ticks': '~~~~md\n```\n\na\n```\n\n~~~\n~~~~\n\ntext',
  'a fence in a list': '1. first\n\n   ```sh\n   ls\n\n   pwd\n   ```\n\n2. second\n\ntext',
  'a fence in a list that is left open': '- ```\n  code\n\ntext\n\n```\ncode\n\ncode\n```\n\ntext',
  'code by indentation': 'text\n\n    code\n\n    code\n\ntext',
  'ticks that are code by indentation': 'a\n\n    ```\n\nb\n\nc',
  quotes: '> one\n\n> two\n>\n> three\nlazy\n\nfour',
  'a quoted fence': '> ```\n> code\n\ntext\n\nmore',
  tables: '| a | b |\n| --- | --- |\n| 1 | 2 |\n\n| c |\n| - |\n| 3 |\n\ntext',
  'a reference': 'See [one] and [two][one].\n\ntext\n\n[one]: https://example.com\n\ntext',
  footnotes: 'Text[^1]\n\nmore\n\n[^1]: The note.\n\n    All of it.',
  'HTML that goes on': 'a\n\n<!-- b\n\nc -->\n\nd\n\n<pre>\n\ne\n\n</pre>\n\nf',
  'HTML that does not': '<div>\n\n*a*\n\n</div>\n\nb',
  math: 'Let $a_1$ be\n\n$$\na^2\n\nb^2\n$$\n\nthen',
  'a tick within a line': 'a `` ` `` b\n\n``` not a fence ``` c\n\nd',
};

describe('cutting a reply into blocks', () => {
  it.each(Object.entries(SAMPLES))('means the same as the whole: %s', (_, text) => {
    const blocks = splitBlocks(text);
    expect(blocks.join('')).toBe(text);
    expect(renderBlocks(blocks)).toBe(render(text));
  });

  it('means the same as the whole, whatever lines come together', () => {
    // No list that cannot interrupt a paragraph: behind code micromark takes it for one.
    const line = fc.constantFrom(
      ...[
        '',
        '',
        '',
        'text',
        '*a* `b`',
        '# h',
        '---',
        '===',
        '- a',
        '* b',
        '+ d',
        '1. a',
        '1. b',
        '1) c',
      ],
      ...[
        '  - n',
        '  in',
        '    code',
        '> q',
        '```',
        '```js',
        '~~~',
        '  ```',
        '   more',
        '\tt',
        '- ```',
      ],
      ...[
        '| a | b |',
        '| - | - |',
        '<div>',
        '<!-- c',
        '-->',
        '<pre>\na\n\nb\n</pre>',
        '- - a',
        '  > q',
        '>',
      ],
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 14 }), (lines) => {
        const text = lines.join('\n');
        const blocks = splitBlocks(text);
        expect(blocks.join('')).toBe(text);
        expect(renderBlocks(blocks)).toBe(render(text));
      }),
      { numRuns: 1_000, seed: 4 },
    );
  });

  it('keeps all blocks but the last while the text grows', () => {
    // A definition, and what is left open in an item, end the cutting.
    const text = Object.values(SAMPLES)
      .filter((sample) => !/^\[|^- ```/m.test(sample))
      .join('\n\n');
    let before: string[] = [];
    for (let end = 0; end <= text.length; end++) {
      const blocks = splitBlocks(text.slice(0, end));
      expect(blocks.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
      before = blocks;
    }
    expect(before.length).toBeGreaterThan(40);
  });
});

describe('the end of a reply that grows', () => {
  it.each([
    ['some **bold te', '<p>some <strong>bold te</strong></p>'],
    ['some **', '<p>some</p>'],
    ['some *emph', '<p>some <em>emph</em></p>'],
    ['some ~~gone', '<p>some <del>gone</del></p>'],
    ['**bold *both', '<p><strong>bold <em>both</em></strong></p>'],
    ['run `npm ci', '<p>run <code>npm ci</code></p>'],
    ['run `a * b', '<p>run <code>a * b</code></p>'],
    ['see [the page](https://exa', '<p>see the page</p>'],
    ['text\n-', '<p>text</p>'],
    ['text\n---', '<p>text</p>'],
    ['text\n``', '<p>text</p>'],
    ['```js\nlet a;\n``', '<pre><code class="language-js">let a;</code></pre>'],
    ['3 * 4 is 12', '<p>3 * 4 is 12</p>'],
    ['snake_case_name and 2\\*3', '<p>snake_case_name and 2*3</p>'],
    ['- one\n- **two', '<ul>\n<li>one</li>\n<li><strong>two</strong></li>\n</ul>'],
  ])('shows %j as it will be', (text, html) => {
    expect(render(closeOpen(text))).toBe(html);
  });

  it('loses no word of what has come', () => {
    const piece = fc.constantFrom('a', 'word ', '*', '**', '`', '~~', ' ', '\n', '\n\n', '- ', '_');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const text = pieces.join('');
        const letters = (of: string) => of.replace(/[^a-z]/g, '');
        expect(letters(closeOpen(text))).toBe(letters(text));
      }),
    );
  });
});

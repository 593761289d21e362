import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm as syntax } from 'micromark-extension-gfm';

/** As much of unified's processor as is used here. */
interface Processor {
  data(): object;
}

/** remark: tables, task lists, footnotes and the like. What remark-gfm does, without the way back. */
export function gfm(this: Processor): void {
  const data = this.data() as Record<string, unknown[] | undefined>;
  data['micromarkExtensions'] = [...(data['micromarkExtensions'] ?? []), syntax()];
  data['fromMarkdownExtensions'] = [...(data['fromMarkdownExtensions'] ?? []), gfmFromMarkdown()];
}

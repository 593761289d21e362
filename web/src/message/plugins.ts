/** As much of mdast and hast as is looked at here. */
interface Node {
  type: string;
  alt?: string | null;
  title?: string | null;
  url?: string;
  identifier?: string;
  children?: Node[];
  properties?: Record<string, unknown>;
}

const IMAGES: Readonly<Record<string, string>> = { image: 'link', imageReference: 'linkReference' };

/** remark: an image is not loaded, but is a link to itself with its alternative text. */
export const imagesAsLinks = () => (tree: Node) => visit(tree, false);

function visit(node: Node, isInLink: boolean): void {
  const isLink = isInLink || node.type === 'link' || node.type === 'linkReference';
  node.children = node.children?.map((child) => {
    const linkType = IMAGES[child.type];
    if (!linkType) return child;
    const text = { type: 'text', value: child.alt || child.url || 'Image' };
    return isLink ? text : { ...child, type: linkType, children: [text] };
  }) as Node[];
  for (const child of node.children ?? []) visit(child, isLink);
}

/** rehype: footnotes would bring the same ids into each reply of the page. */
export const withoutIds = () =>
  function strip(node: Node): void {
    if (node.properties) {
      delete node.properties['id'];
      delete node.properties['ariaDescribedBy'];
    }
    for (const child of node.children ?? []) strip(child);
  };

/** `auto` follows the system. */
export type Theme = 'auto' | 'paper' | 'night';

const KEY = 'chatkeep:theme';

export function readTheme(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === 'paper' || kept === 'night' ? kept : 'auto';
  } catch {
    return 'auto';
  }
}

/** The browser's own frame goes along: what index.html says for light and dark. */
const frames = [...document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')];
const [paper = '', night = ''] = frames.map(({ content }) => content);

function show(theme: Theme): void {
  const { dataset } = document.documentElement;
  if (theme === 'auto') delete dataset['theme'];
  else dataset['theme'] = theme;
  const [light, dark] =
    theme === 'auto' ? [paper, night] : Array(2).fill(theme === 'paper' ? paper : night);
  if (frames[0]) frames[0].content = light;
  if (frames[1]) frames[1].content = dark;
}

export function setTheme(theme: Theme): void {
  try {
    if (theme === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // A browser that keeps nothing: it lasts as long as the page.
  }
  show(theme);
}

// At once, before anything is painted; and with what another tab chooses.
show(readTheme());
window.addEventListener('storage', ({ key }) => {
  if (key === KEY) show(readTheme());
});

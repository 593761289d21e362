// Shows what is so now, while somebody looks. Without it the page shows what was so when it was loaded.
const EVERY_MS = 5_000;

async function look() {
  if (document.hidden) return;
  const answer = await fetch('/status', { headers: { accept: 'text/html' } });
  const { title, body } = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const fresh = body.querySelector('main');
  if (!fresh) throw new Error('This is not the page.');
  document.title = title;
  document.querySelector('main')?.replaceWith(fresh);
}

function tellAway() {
  document.title = 'chatkeep · away';
  const summary = document.querySelector('.summary');
  if (summary) summary.textContent = 'chatkeep does not answer: this is how it was before.';
}

setInterval(() => look().catch(tellAway), EVERY_MS);
document.addEventListener('visibilitychange', () => look().catch(tellAway));

import './styles/tokens.css';
import './styles/page.css';
import './session/theme.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { Unfailing } from './failing/failing.tsx';
import { registerShell } from './offline.ts';
import { openAccounts } from './session/accounts.ts';
import { readSettings } from './settings.ts';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <Unfailing>
        <App opening={openAccounts(readSettings())} />
      </Unfailing>
    </StrictMode>,
  );
}
registerShell();

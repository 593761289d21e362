import './styles/tokens.css';
import './styles/page.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { registerShell } from './offline.ts';
import { readSettings } from './settings.ts';

const root = document.getElementById('root');
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App settings={readSettings()} />
    </StrictMode>,
  );
}
registerShell();

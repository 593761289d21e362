CREATE TABLE "chat_personalities" (
	"user_id" uuid PRIMARY KEY NOT NULL,
	"personality" jsonb NOT NULL
);
--> statement-breakpoint
ALTER TABLE "chat_personalities" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
ALTER TABLE "chat_history" ADD COLUMN "has_default_context" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "chat_personalities" ADD CONSTRAINT "chat_personalities_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "auth"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE POLICY "Users can view own personality" ON "chat_personalities" AS PERMISSIVE FOR SELECT TO "authenticated" USING ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can insert own personality" ON "chat_personalities" AS PERMISSIVE FOR INSERT TO "authenticated" WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can update own personality" ON "chat_personalities" AS PERMISSIVE FOR UPDATE TO "authenticated" USING ((select auth.uid()) = user_id) WITH CHECK ((select auth.uid()) = user_id);--> statement-breakpoint
CREATE POLICY "Users can delete own personality" ON "chat_personalities" AS PERMISSIVE FOR DELETE TO "authenticated" USING ((select auth.uid()) = user_id);